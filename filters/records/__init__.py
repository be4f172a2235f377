"""Steps that look at the record itself: its id."""
