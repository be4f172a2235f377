"""Looking into a finished run: explain, compare, families of duplicates, drawings."""
