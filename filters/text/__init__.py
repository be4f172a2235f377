"""Steps that measure the text of a record."""
