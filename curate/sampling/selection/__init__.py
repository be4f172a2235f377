"""How a sample is chosen: the ranks of records, and the last rank that is kept of each group."""
