"""Steps that ask models where objects are in images, and that compare the objects found."""
