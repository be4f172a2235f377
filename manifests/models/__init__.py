"""Reads model files into arrays. Code that a file names is never run."""
