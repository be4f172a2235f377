"""Converts polygons to rings x y x y ..., from the different nestings of lists that files have."""

from __future__ import annotations

from typing import Any

from manifests.errors import RowError


def to_rings(value: Any) -> list[list[Any]]:
    """Converts a polygon to rings, each x y x y .... The value may be a list of rings, a single
    ring, a list of (x, y) pairs, or a list of such lists of pairs. Raises RowError for any other
    shape, and for a ring with an odd number of coordinates.

    `[[0, 0], [9, 0], [9, 9]] -> [[0, 0, 9, 0, 9, 9]]`
    """
    if not isinstance(value, list) or not value:
        raise RowError(f"a polygon is {value!r:.80}, not a list of coordinates")
    if not isinstance(value[0], list):
        rings = [value]
    elif _are_pairs(value):
        rings = [_flat(value)]
    else:
        rings = [_flat(ring) if _are_pairs(ring) else ring for ring in value]
    if not all(map(_is_ring, rings)):
        raise RowError(f"a polygon is {value!r:.80}, not one or more lists of numbers x y x y ...")
    return rings


def _is_ring(value: Any) -> bool:
    is_even = isinstance(value, list) and bool(value) and len(value) % 2 == 0
    return is_even and not isinstance(value[0], list | dict)


def _are_pairs(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, list) and len(one) == 2 for one in value)


def _flat(pairs: list[list[Any]]) -> list[Any]:
    return [number for pair in pairs for number in pair]
