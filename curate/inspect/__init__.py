"""Look into a finished run: one record, differences, families of duplicates, drawings."""
