"""Runs recipes: plans the passes over the data that a recipe needs, and runs the passes in this
process or on a Ray cluster."""
