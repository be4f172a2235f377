"""Published filters as lists of steps. Each filter is a YAML file that states where every number
comes from."""

from curate.recipe.presets.loader import Evidence, Preset, load_presets

__all__ = ["Evidence", "Preset", "load_presets"]
