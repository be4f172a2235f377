"""The kinds of duplicates: how keys are made, and when a candidate pair is a duplicate."""
