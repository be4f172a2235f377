"""Steps that look at the text of a record."""
