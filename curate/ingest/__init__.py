"""Readers: from what lies on disk to records. Here what all share; a folder for each family."""
