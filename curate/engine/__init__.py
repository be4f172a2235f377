"""Runs recipes: the plan, the passes, and the two executors."""
