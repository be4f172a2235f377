"""Steps that measure the images of a record."""
