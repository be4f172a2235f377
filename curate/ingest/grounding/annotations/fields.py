"""Functions for fields of a JSON object or a row that several grounding readers use."""

from __future__ import annotations

import contextlib
import math
from typing import Any


def without(fields: dict[str, Any], *used: str | None) -> dict[str, Any]:
    """Returns the fields whose names are not in `used`. The caller stores the used fields in other
    places of the record.

    `without({"id": 7, "license": 4}, "id") -> {"license": 4}`
    """
    return {name: value for name, value in fields.items() if name not in used}


def number_in(value: Any) -> float | None:
    """Returns the value as a finite float; None if the value is not a number, or is outside the
    range of floats.

    JSON allows whole numbers of any length. `number_in(7) -> 7.0`, `number_in(True) -> None`,
    `number_in(10**400) -> None`.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        with contextlib.suppress(OverflowError):
            return float(value) if math.isfinite(value) else None
    return None


def size_in(fields: dict[str, Any], width: str, height: str) -> tuple[float, float] | None:
    """Returns the size in the fields whose names are `width` and `height`; None if one of the
    fields is not a number.

    `size_in({"w": 640, "h": 480}, "w", "h") -> (640.0, 480.0)`
    """
    sides = number_in(fields.get(width)), number_in(fields.get(height))
    return None if sides[0] is None or sides[1] is None else (sides[0], sides[1])
