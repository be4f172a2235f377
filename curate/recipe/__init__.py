"""Reads and checks recipes, the YAML files that users write, and builds readers and steps from
them."""

from curate.recipe.json_schema import json_schema
from curate.recipe.model import Loaded, Recipe, build, load, of_manifest

__all__ = ["Loaded", "Recipe", "build", "json_schema", "load", "of_manifest"]
