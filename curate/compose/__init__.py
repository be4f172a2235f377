"""Makes training text from records; there is one folder for each kind of text."""
