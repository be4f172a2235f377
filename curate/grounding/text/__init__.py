"""Annotated objects as training text, and text as annotated objects."""
