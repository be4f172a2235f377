"""Inspects a finished run: single records, differences, families of duplicates, drawings."""
