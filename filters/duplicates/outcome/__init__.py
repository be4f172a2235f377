"""States for every record what the search for duplicates decided: whether it stays, and of which
record it is a duplicate."""
