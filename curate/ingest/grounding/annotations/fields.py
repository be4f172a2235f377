"""Functions for fields of a JSON object or a row that several grounding readers use."""

from __future__ import annotations

from typing import Any


def without(fields: dict[str, Any], *used: str | None) -> dict[str, Any]:
    """The fields except those named in `used`, which the record already has in another place.

    `without({"id": 7, "license": 4}, "id") -> {"license": 4}`
    """
    return {name: value for name, value in fields.items() if name not in used}


def size_in(fields: dict[str, Any], width: str, height: str) -> tuple[float, float] | None:
    """The size in the fields named `width` and `height`; None if either is not a number.

    `size_in({"w": 640, "h": 480}, "w", "h") -> (640.0, 480.0)`
    """
    sides = fields.get(width), fields.get(height)
    if not all(isinstance(side, int | float) for side in sides):
        return None
    return float(sides[0] or 0), float(sides[1] or 0)
