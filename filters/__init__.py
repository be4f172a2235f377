"""Steps that measure records and drop some of them, in one folder for each kind of data."""
