"""Records rewritten as training text: one folder for each kind of text."""
