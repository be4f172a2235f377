"""Benchmarks as a recipe names them, and the items in their files."""
