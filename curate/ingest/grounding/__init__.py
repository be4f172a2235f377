"""Readers of what is annotated on pictures."""
