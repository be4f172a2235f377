"""Ranks records, and finds the limit up to which each group of records is kept."""
