"""Searches records for the items of benchmarks: by text, by image, by embedding."""
