"""Draws the annotations of records on their images."""
