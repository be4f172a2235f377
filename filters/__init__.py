"""Steps that measure records and drop some of them; one folder for each kind of data."""
