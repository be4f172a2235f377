"""Matches the objects that two models found on one image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from manifests.geometry.boxes import iou


class Match(NamedTuple):
    """A pair of objects that agree: their positions in the first and in the second list, and their
    confidence."""

    first: int
    second: int
    confidence: float


def match(
    first: Sequence[dict[str, Any]],
    second: Sequence[dict[str, Any]],
    threshold: float,
    point_radius: float,
) -> list[Match]:
    """Returns the pairs of objects that agree, in the order of `first`. The objects of a pair have
    the same label and text, and each object is in at most one pair.

    The confidence of two boxes is their intersection over union. The confidence of two points falls
    from 1 at the same place to 0 at a distance of `point_radius`. Pairs with a confidence of 0 or
    below `threshold` do not agree. Pairs are taken in the order of their confidence, the highest
    first. If pairs have the same confidence, the pair whose objects come first in the lists is
    taken first.
    """
    pairs = _pairs_of_a_name(first, second)
    found = _confidences(first, second, pairs, point_radius)
    at = np.flatnonzero((found >= threshold) & (found > 0))
    candidates = [Match(*pairs[n], float(found[n])) for n in at.tolist()]
    taken: list[Match] = []
    used_first, used_second = set[int](), set[int]()
    for one in sorted(candidates, key=lambda c: (-c.confidence, c.first, c.second)):
        if one.first not in used_first and one.second not in used_second:
            taken.append(one)
            used_first.add(one.first)
            used_second.add(one.second)
    return sorted(taken)


def name_of(one: dict[str, Any]) -> tuple[str | None, str | None]:
    return one["label"], one["text"]


def _pairs_of_a_name(
    first: Sequence[dict[str, Any]], second: Sequence[dict[str, Any]]
) -> list[tuple[int, int]]:
    named: dict[tuple[str | None, str | None], list[int]] = {}
    for j, one in enumerate(second):
        named.setdefault(name_of(one), []).append(j)
    return [(i, j) for i, one in enumerate(first) for j in named.get(name_of(one), ())]


def _confidences(
    first: Sequence[dict[str, Any]],
    second: Sequence[dict[str, Any]],
    pairs: list[tuple[int, int]],
    point_radius: float,
) -> np.ndarray:
    """Returns the confidence of each pair, as `match` defines it. A box and a point have a
    confidence of 0."""
    a, b = np.array(pairs, np.int64).reshape(-1, 2).T
    overlaps = iou(_matrix(first, "box", 4)[a], _matrix(second, "box", 4)[b])
    apart = _matrix(first, "point", 2)[a] - _matrix(second, "point", 2)[b]
    near = 1 - np.hypot(apart[:, 0], apart[:, 1]) / point_radius
    confidences: np.ndarray = np.fmax(np.fmax(overlaps, near), 0.0)
    return confidences


def _matrix(objects: Sequence[dict[str, Any]], field: str, numbers: int) -> np.ndarray:
    """Returns the coordinates in `field` (box or point), one row for each object; nan for an object
    without the field. `numbers` is how many coordinates the field has."""
    missing = [np.nan] * numbers
    return np.array([one[field] or missing for one in objects], float).reshape(-1, numbers)
