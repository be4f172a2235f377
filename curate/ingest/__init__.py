"""Readers, which turn files in the existing layouts of datasets into records."""
