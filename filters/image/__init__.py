"""Steps that look at the images of a record."""
