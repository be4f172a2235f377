"""Readers of model files into arrays; no code that a file names is run."""
