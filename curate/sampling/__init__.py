"""Steps that select how many records, and which records, are kept."""
