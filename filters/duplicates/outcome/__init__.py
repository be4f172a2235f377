"""Computes the result of the steps for every record from the survivors of the search."""
