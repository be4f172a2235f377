"""Writes the parts of the documentation that repeat the code: `python dev.py docs`."""
