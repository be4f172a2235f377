"""Readers: one file for each family of inputs, from what lies on disk to records."""
