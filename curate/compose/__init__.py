"""Records to training text: a folder for each kind of text."""
