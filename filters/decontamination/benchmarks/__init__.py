"""Reads the benchmarks that a recipe lists: their settings, files and items."""
