"""The JSON Schema of a recipe, for editors."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from curate import catalog
from curate.recipe.model import Recipe
from curate.recipe.presets import load_presets


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a recipe, for editors: every reader, step and preset with its
    settings."""
    schema = Recipe.model_json_schema()
    defs = schema.setdefault("$defs", {})
    sources, steps = [], []
    for name, kind in catalog.readers().items():
        entry = _inlined(kind, defs)
        entry["properties"]["reader"] = {"const": name}
        entry.setdefault("required", []).append("reader")
        sources.append(entry)
    for name in catalog.STEPS:
        entry = _inlined(catalog.resolve_step(name), defs)
        entry["properties"]["only"] = {"type": "object"}
        one = {"anyOf": [entry, {"type": "null"}]}
        steps.append({"type": "object", "properties": {name: one}, "required": [name],
                      "additionalProperties": False})  # fmt: skip
    steps.append({"type": "object", "properties": {"preset": {"enum": list(load_presets())}},
                  "required": ["preset"], "additionalProperties": False})  # fmt: skip
    schema["properties"]["sources"]["items"] = {"anyOf": sources}
    schema["properties"]["steps"]["items"] = {"anyOf": steps}
    schema["properties"]["base"] = {
        "type": "string",
        "description": "path of a recipe that this one extends",
    }
    return schema


def _inlined(kind: type[BaseModel], defs: dict[str, Any]) -> dict[str, Any]:
    entry = kind.model_json_schema()
    defs.update(entry.pop("$defs", {}))
    return entry
