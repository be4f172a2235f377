"""Files that one phase of the search for duplicates writes and a later phase reads."""
