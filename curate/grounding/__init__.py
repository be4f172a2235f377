"""Coordinates: every convention to [0,1000] and back, in two and three dimensions."""
