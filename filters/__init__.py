"""Steps that measure records and drop some of them, by what they look at."""
