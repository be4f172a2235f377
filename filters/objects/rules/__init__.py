"""Rules that several steps on objects share."""
