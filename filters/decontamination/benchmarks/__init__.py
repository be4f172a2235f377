"""Benchmarks as a recipe names them, and the items read from their files."""
