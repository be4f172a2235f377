"""Boxes and cameras in three dimensions."""
