"""Inspects a finished run: single records, differences, groups of duplicates, drawings."""
