"""How many of which records: one selection mechanism."""
