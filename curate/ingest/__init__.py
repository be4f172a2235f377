"""Readers: files in the layouts that datasets already have, turned into records."""
