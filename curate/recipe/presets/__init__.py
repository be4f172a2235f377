"""Published filters as lists of steps: one YAML file for each, with the evidence for every
number."""

from curate.recipe.presets.loader import Evidence, Preset, load_presets

__all__ = ["Evidence", "Preset", "load_presets"]
