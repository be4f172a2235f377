"""Reads the benchmarks that a recipe lists: their settings, their files, and their items
(questions, texts or images)."""
