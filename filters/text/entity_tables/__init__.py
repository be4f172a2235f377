"""Reads tables of entities, and finds their entities in texts."""
