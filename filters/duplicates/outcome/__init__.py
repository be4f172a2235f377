"""States for every record what the search for duplicates decided: whether the record stays and, if
not, of which record it is a duplicate."""
