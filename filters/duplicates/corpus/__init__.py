"""The units of a corpus: their numbers, their rows, and the indexes of earlier runs."""
