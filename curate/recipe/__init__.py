"""A recipe: the YAML a user writes, read, checked, and built into readers and steps."""

from curate.recipe.model import Loaded, Recipe, build, json_schema, load

__all__ = ["Loaded", "Recipe", "build", "json_schema", "load"]
