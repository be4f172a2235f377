"""Steps that select records by themselves, not by what they contain."""
