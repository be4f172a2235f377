"""Files that one phase of the search writes and a later phase reads."""
