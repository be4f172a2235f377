"""Steps that ask models where objects are, and compare what two of them found."""
