"""Steps that select records by their metadata."""
