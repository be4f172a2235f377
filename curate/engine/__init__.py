"""Runs recipes: this package has the plan, the passes, and the two executors."""
