"""Polygons of many objects at once: their bounds, and a point inside each.

A polygon is rings of x y x y ..., and what lies in an odd number of them is inside: parts lie
beside each other, holes within.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests.errors import ManifestError


class Polygons(NamedTuple):
    """The rings that are not empty, of a column of `objects` polygons."""

    objects: int
    ring_of: np.ndarray
    """(rings,) ascending: the object of each ring."""
    starts: np.ndarray
    """(rings + 1,): where the places of each ring start."""
    places: np.ndarray
    """(places, 2) float64."""

    @property
    def place_of(self) -> np.ndarray:
        """(places,) ascending: the object of each place."""
        return np.repeat(self.ring_of, np.diff(self.starts))


def flatten_polygons(column: pa.Array) -> Polygons:
    """The polygons of a flat column list<list<float32>>."""
    rings = column.flatten()
    lengths = _lengths(rings)
    if (lengths % 2).any():
        raise ManifestError("a ring of an odd number of numbers", "column 'objects'")
    ring_of = np.repeat(np.arange(len(column)), _lengths(column))
    some = lengths > 0
    starts = np.concatenate([[0], np.cumsum(lengths[some] // 2)])
    places = np.asarray(rings.flatten()).reshape(-1, 2).astype(np.float64)
    return Polygons(len(column), ring_of[some], starts, places)


def replace_points(column: pa.Array, places: np.ndarray) -> pa.Array:
    """The column with other places, (places, 2), in the same rings."""
    rings = column.flatten()
    flat = pa.array(places.astype(np.float32).reshape(-1))
    inner = pa.ListArray.from_arrays(_offsets(_lengths(rings)), flat)
    return pa.ListArray.from_arrays(_offsets(_lengths(column)), inner, mask=column.is_null())


def bounding_boxes(polygons: Polygons) -> np.ndarray:
    """(objects, 4): the smallest box around each; nan where there is no place."""
    found = np.full((polygons.objects, 4), np.nan)
    if len(polygons.places):
        starts, who = _firsts(polygons.place_of)
        found[who, :2] = np.minimum.reduceat(polygons.places, starts)
        found[who, 2:] = np.maximum.reduceat(polygons.places, starts)
    return found


def inner_points(polygons: Polygons) -> np.ndarray:
    """(objects, 2): a point inside each; nan of those that have no inside.

    The centroid of its largest ring where that is inside; else the middle of the widest stretch
    inside at the same height, or at another where there is none. Rounded to float32, as the record
    has it.
    """
    found = np.full((polygons.objects, 2), np.nan)
    if not len(polygons.places):
        return found
    box, centroid = bounding_boxes(polygons), _centroids(polygons)
    owner, crossed = _crossings(polygons, centroid[:, 1])
    right = np.bincount(owner[crossed > centroid[owner, 0]], minlength=polygons.objects)
    inside = right % 2 == 1
    found[inside] = centroid[inside]
    for share in (None, *_HEIGHTS):
        polygons = _only(polygons, np.isnan(found[:, 0]))
        if not len(polygons.places):
            break
        below = centroid[:, 1] if share is None else box[:, 1] + share * (box[:, 3] - box[:, 1])
        height = below.astype(np.float32).astype(np.float64)
        owner, middle = _middles(*_crossings(polygons, height))
        found[owner] = np.stack([middle, height[owner]], axis=1)
    return found


_HEIGHTS = (1 / 2, 1 / 4, 3 / 4, 1 / 8, 3 / 8, 5 / 8, 7 / 8)
"""Shares of the height of an outline that crosses itself so that the first guess fails (ours)."""
_NARROW = 1e-3
"""Units: what is narrower has no inside that float32 could tell (6e-5 at 1000)."""


def _only(polygons: Polygons, objects: np.ndarray) -> Polygons:
    """The polygons of some objects, (objects,) bool."""
    rings = objects[polygons.ring_of]
    if rings.all():
        return polygons
    sides = np.diff(polygons.starts)[rings]
    return polygons._replace(
        ring_of=polygons.ring_of[rings],
        starts=np.concatenate([[0], np.cumsum(sides)]),
        places=polygons.places[objects[polygons.place_of]],
    )


def _centroids(polygons: Polygons) -> np.ndarray:
    """(objects, 2) of the largest ring of each; of its bounds where no ring has an area."""
    sides, starts = np.diff(polygons.starts), polygons.starts[:-1]
    corner = polygons.places[starts]
    a = polygons.places - np.repeat(corner, sides, axis=0)
    after = _next(polygons.starts)
    (ax, ay), (bx, by) = a.T, (a[after, 0], a[after, 1])
    cross = ax * by - bx * ay
    doubled = np.add.reduceat(cross, starts)
    moments = [np.add.reduceat(total * cross, starts) for total in (ax + bx, ay + by)]
    largest = _largest(polygons.ring_of, np.abs(doubled))
    largest = largest[np.abs(doubled[largest]) > _NO_AREA]
    box = bounding_boxes(polygons)
    found = (box[:, :2] + box[:, 2:]) / 2
    moved = np.stack(moments, axis=1)[largest] / (3 * doubled[largest][:, None])
    found[polygons.ring_of[largest]] = corner[largest] + moved
    rounded: np.ndarray = found.astype(np.float32).astype(np.float64)
    return rounded


_NO_AREA = 1e-6
"""Of 1000 x 1000: less is what rounding leaves of none (ours)."""


def _crossings(polygons: Polygons, height: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where edges cross the height of their object: the object, ascending, and x, ascending."""
    place_of, after = polygons.place_of, _next(polygons.starts)
    above = polygons.places[:, 1] <= height[place_of]
    first = np.flatnonzero(above != above[after])
    owner = place_of[first]
    (ax, ay), (bx, by) = polygons.places[first].T, polygons.places[after[first]].T
    x = ax + (height[owner] - ay) / (by - ay) * (bx - ax)
    order = np.lexsort((x, owner))
    return owner[order], x[order]


def _middles(owner: np.ndarray, crossed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The middle of the widest stretch between two crossings, and which object it is of."""
    left, right, owner = crossed[::2], crossed[1::2], owner[::2]  # a closed ring crosses twice
    widest = _largest(owner, right - left)
    widest = widest[(right - left)[widest] > _NARROW]
    middles = ((left + right) / 2)[widest].astype(np.float32).astype(np.float64)
    return owner[widest], middles


def _largest(owner: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The position of the first largest value of each owner; `owner` ascends."""
    starts, _ = _firsts(owner)
    if len(starts) == len(owner):
        return starts
    order: np.ndarray = np.lexsort((-values, owner))[starts]
    return order


def _firsts(owner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each owner's values start, and which owner it is."""
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    return starts, owner[starts]


def _next(starts: np.ndarray) -> np.ndarray:
    """The place after each in its ring; the first after the last."""
    following = np.arange(1, starts[-1] + 1)
    following[starts[1:] - 1] = starts[:-1]
    return following


def _lengths(lists: pa.Array) -> np.ndarray:
    return np.asarray(pc.list_value_length(lists).fill_null(0)).astype(np.int64)


def _offsets(lengths: np.ndarray) -> pa.Array:
    return pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
