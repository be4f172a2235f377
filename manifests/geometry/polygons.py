"""Computes the bounding boxes of the polygons of many objects at once, and a point inside each
polygon.

A polygon is a list of rings. A ring is a list of coordinates x y x y ...; its first point is not
repeated at the end. A point is inside a polygon if it is in an odd number of rings (even-odd rule).
So rings that do not overlap are parts of one object, and a ring within another ring is a hole.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests.errors import ManifestError


class Polygons(NamedTuple):
    """A column of polygons as flat arrays; empty rings are left out. `objects` is the number of
    objects, `ring_of` the object of each ring, `starts` the index of the first point of each ring,
    then the number of all points.

    `[[[0, 0, 4, 0, 4, 4]], None]` becomes 2 objects, `ring_of` [0], `starts` [0, 3] and `points`
    [[0, 0], [4, 0], [4, 4]].
    """

    objects: int
    ring_of: np.ndarray
    """(rings,) ascending: the object of each ring."""
    starts: np.ndarray
    """(rings + 1,): the index of the first point of each ring, followed by the number of all
    points."""
    points: np.ndarray
    """(points, 2) float64 x y."""

    @property
    def point_of(self) -> np.ndarray:
        """The index of the object that each point belongs to, (points,), ascending."""
        return np.repeat(self.ring_of, np.diff(self.starts))


def flatten_polygons(column: pa.Array) -> Polygons:
    """Returns the polygons of a column list<list<float32>> with one polygon, a list of rings, for
    each object. Raises ManifestError if a ring has an odd number of coordinates."""
    rings = column.flatten()
    lengths = _lengths(rings)
    if (lengths % 2).any():
        raise ManifestError(
            "a ring of a polygon has an odd number of coordinates, so an x has no y",
            "column 'objects'",
            "Run the recipe again, with a new output folder.",
        )
    ring_of = np.repeat(np.arange(len(column)), _lengths(column))
    filled = lengths > 0
    starts = np.concatenate([[0], np.cumsum(lengths[filled] // 2)])
    points = np.asarray(rings.flatten()).reshape(-1, 2).astype(np.float64)
    return Polygons(len(column), ring_of[filled], starts, points)


def replace_points(column: pa.Array, points: np.ndarray) -> pa.Array:
    """Returns the column of polygons with new coordinates: `points`, (points, 2) x y. Each ring
    keeps its number of points."""
    rings = column.flatten()
    flat = pa.array(points.astype(np.float32).reshape(-1))
    inner = pa.ListArray.from_arrays(_offsets(_lengths(rings)), flat)
    return pa.ListArray.from_arrays(_offsets(_lengths(column)), inner, mask=column.is_null())


def bounding_boxes(polygons: Polygons) -> np.ndarray:
    """Returns (objects, 4) x1 y1 x2 y2 around all points of each object; nan for an object without
    points."""
    boxes = np.full((polygons.objects, 4), np.nan)
    if len(polygons.points):
        starts, owner = _groups(polygons.point_of)
        boxes[owner, :2] = np.minimum.reduceat(polygons.points, starts)
        boxes[owner, 2:] = np.maximum.reduceat(polygons.points, starts)
    return boxes


def inner_points(polygons: Polygons) -> np.ndarray:
    """Returns (objects, 2) x y of a point inside each polygon; nan for a polygon without an inside.

    The point is the centroid of the largest ring if the centroid is inside the polygon. Otherwise
    it is the middle of the widest horizontal segment inside the polygon at the height of the
    centroid. If there is no such segment, other heights are tried. The result is rounded to
    float32, the type in which records store points.
    """
    found = np.full((polygons.objects, 2), np.nan)
    if not len(polygons.points):
        return found
    boxes, centroid = bounding_boxes(polygons), _centroids(polygons)
    owner, x = _crossings(polygons, centroid[:, 1])
    to_the_right = np.bincount(owner[x > centroid[owner, 0]], minlength=polygons.objects)
    inside = to_the_right % 2 == 1
    found[inside] = centroid[inside]
    for fraction in (None, *_HEIGHTS):
        polygons = _select(polygons, np.isnan(found[:, 0]))
        if not len(polygons.points):
            break
        top, bottom = boxes[:, 1], boxes[:, 3]
        height = centroid[:, 1] if fraction is None else top + fraction * (bottom - top)
        height = height.astype(np.float32).astype(np.float64)
        owner, middle = _widest_middles(*_crossings(polygons, height))
        found[owner] = np.stack([middle, height[owner]], axis=1)
    return found


_HEIGHTS = (1 / 2, 1 / 4, 3 / 4, 1 / 8, 3 / 8, 5 / 8, 7 / 8)
"""Heights at which a point inside the polygon is searched, as fractions of the polygon's height
(our choice). They are used if the polygon has no inside at the height of its centroid, which
happens if its outline crosses itself."""
_MIN_WIDTH = 1e-3
"""Minimum width of a segment, in [0,1000]. A narrower segment may contain no float32 number (near
1000, float32 numbers are 6e-5 apart)."""


def _select(polygons: Polygons, objects: np.ndarray) -> Polygons:
    """Removes the polygons of the objects for which `objects`, (objects,) bool, is false. These
    objects stay without a polygon, so that all objects keep their numbers."""
    rings = objects[polygons.ring_of]
    if rings.all():
        return polygons
    lengths = np.diff(polygons.starts)[rings]
    return polygons._replace(
        ring_of=polygons.ring_of[rings],
        starts=np.concatenate([[0], np.cumsum(lengths)]),
        points=polygons.points[objects[polygons.point_of]],
    )


def _centroids(polygons: Polygons) -> np.ndarray:
    """Returns (objects, 2) x y: the centroid of the largest ring of each object; the middle of the
    bounding box if no ring has an area."""
    lengths, starts = np.diff(polygons.starts), polygons.starts[:-1]
    origin = polygons.points[starts]
    relative = polygons.points - np.repeat(origin, lengths, axis=0)
    following = _next_point(polygons.starts)
    (ax, ay), (bx, by) = relative.T, (relative[following, 0], relative[following, 1])
    cross = ax * by - bx * ay
    doubled_area = np.add.reduceat(cross, starts)
    moments = [np.add.reduceat(total * cross, starts) for total in (ax + bx, ay + by)]
    largest = _largest_of_each(polygons.ring_of, np.abs(doubled_area))
    largest = largest[np.abs(doubled_area[largest]) > _NO_AREA]
    boxes = bounding_boxes(polygons)
    centroids = (boxes[:, :2] + boxes[:, 2:]) / 2
    moved = np.stack(moments, axis=1)[largest] / (3 * doubled_area[largest][:, None])
    centroids[polygons.ring_of[largest]] = origin[largest] + moved
    rounded: np.ndarray = centroids.astype(np.float32).astype(np.float64)
    return rounded


_NO_AREA = 1e-6
"""An area smaller than this counts as 0, because it is a rounding error (our choice). The whole
image has the area 1000 x 1000."""


def _crossings(polygons: Polygons, height: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns where the edges of each polygon cross a horizontal line. `height`, (objects,), is the
    y of the line of each polygon.

    Returns the object of each crossing, ascending, and the x of each crossing, ascending within an
    object.
    """
    point_of, following = polygons.point_of, _next_point(polygons.starts)
    above = polygons.points[:, 1] <= height[point_of]
    first = np.flatnonzero(above != above[following])
    owner = point_of[first]
    (ax, ay), (bx, by) = polygons.points[first].T, polygons.points[following[first]].T
    x = ax + (height[owner] - ay) / (by - ay) * (bx - ax)
    order = np.lexsort((x, owner))
    return owner[order], x[order]


def _widest_middles(owner: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Finds, on the horizontal line through each polygon, the widest segment that is inside the
    polygon. Returns the objects, ascending, and the x of the middle of each object's widest
    segment. An object is left out if its widest segment is not wider than _MIN_WIDTH.

    `owner` and `x` are the crossings of lines and polygons that `_crossings` returns.
    `_widest_middles([4, 4], [10, 30]) -> [4], [20]`
    """
    left, right, owner = x[::2], x[1::2], owner[::2]  # closed rings: an even number of crossings
    widest = _largest_of_each(owner, right - left)
    widest = widest[(right - left)[widest] > _MIN_WIDTH]
    middles = ((left + right) / 2)[widest].astype(np.float32).astype(np.float64)
    return owner[widest], middles


def _largest_of_each(owner: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Divides `values` into groups: values[i] is in the group owner[i], and `owner` is ascending.
    Returns the index of the largest value of each group. If several values of a group are the
    largest, returns the index of the first.

    `_largest_of_each([0, 0, 1], [5, 7, 2]) -> [1, 2]`
    """
    starts, _ = _groups(owner)
    if len(starts) == len(owner):
        return starts
    indices: np.ndarray = np.lexsort((-values, owner))[starts]
    return indices


def _groups(owner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Divides the ascending numbers `owner` into groups of equal numbers. Returns the index at
    which each group begins, and the number of each group: `_groups([5, 5, 8]) -> [0, 2], [5, 8]`"""
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    return starts, owner[starts]


def _next_point(starts: np.ndarray) -> np.ndarray:
    """Returns (points,) int: for each point, the index of the next point of its ring. The next
    point of the last point of a ring is the first point of the ring. `starts` has the index of the
    first point of each ring, then the number of all points: `[0, 3, 5] -> [1, 2, 0, 4, 3]`"""
    following = np.arange(1, starts[-1] + 1)
    following[starts[1:] - 1] = starts[:-1]
    return following


def _lengths(lists: pa.Array) -> np.ndarray:
    return np.asarray(pc.list_value_length(lists).fill_null(0)).astype(np.int64)


def _offsets(lengths: np.ndarray) -> pa.Array:
    return pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
