"""Bounding boxes and inner points of polygons: those of plain Python, and always inside."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from manifests.errors import ManifestError
from manifests.geometry.polygons import (
    bounding_boxes,
    flatten_polygons,
    inner_points,
    replace_points,
)

RINGS = pa.list_(pa.list_(pa.float32()))


def column(*polygons: list[list[float]] | None) -> pa.Array:
    return pa.array(polygons, RINGS)


def odd_rings(rings: list[list[float]], x: float, y: float) -> bool:
    """Whether a point is inside, edge by edge."""
    crossings = 0
    for ring in rings:
        places = list(zip(ring[::2], ring[1::2], strict=True))
        for (ax, ay), (bx, by) in zip(places, [*places[1:], places[0]], strict=True):
            if (ay <= y) != (by <= y):
                crossings += ax + (y - ay) / (by - ay) * (bx - ax) > x
    return crossings % 2 == 1


place = st.integers(0, 40).map(lambda n: n * 25.0)
ring = st.lists(st.tuples(place, place), min_size=1, max_size=7).map(
    lambda places: [number for two in places for number in two]
)
rings = st.lists(ring, min_size=1, max_size=3)


@given(st.lists(rings, max_size=5))
@example([[[0, 0, 10, 0, 10, 10, 0, 10], [2, 2, 8, 2, 8, 8, 2, 8]]])
@example([[[0, 0, 30, 0, 30, 30, 20, 30, 20, 10, 10, 10, 10, 30, 0, 30]]])
@example([[[0, 0, 10, 10, 10, 0, 0, 10]], [[5, 5]], [[0, 0, 9, 0, 9, 9]]])
def test_points_lie_inside_their_polygons(polygons: list[list[list[float]]]) -> None:
    found = flatten_polygons(column(*polygons))
    boxes, points = bounding_boxes(found), inner_points(found)
    for some, box, (x, y) in zip(polygons, boxes, points, strict=True):
        xs = [v for one in some for v in one[::2]]
        ys = [v for one in some for v in one[1::2]]
        assert box.tolist() == [min(xs), min(ys), max(xs), max(ys)]
        if np.isnan(x):
            assert np.isnan(y)
            top, high = min(ys), max(ys) - min(ys)
            assert max(widest(some, top + n / 8 * high) for n in range(1, 8)) <= 1e-3
        else:
            assert odd_rings(some, x, y)
            assert (np.float32(x), np.float32(y)) == (x, y)


def widest(rings: list[list[float]], y: float) -> float:
    """The width of the widest segment inside at a height."""
    xs = []
    for ring in rings:
        places = list(zip(ring[::2], ring[1::2], strict=True))
        for (ax, ay), (bx, by) in zip(places, [*places[1:], places[0]], strict=True):
            if (ay <= y) != (by <= y):
                xs.append(ax + (y - ay) / (by - ay) * (bx - ax))
    xs.sort()
    return max((b - a for a, b in zip(xs[::2], xs[1::2], strict=True)), default=0)


def test_points_are_centroids_where_those_are_inside() -> None:
    square, triangle = [0, 0, 10, 0, 10, 10, 0, 10], [0, 0, 30, 0, 0, 30]
    hole = [square, [4, 4, 6, 4, 6, 6, 4, 6]]
    horseshoe = [0, 0, 30, 0, 30, 30, 20, 30, 20, 10, 10, 10, 10, 30, 0, 30]
    two = [[0, 0, 1, 0, 1, 1, 0, 1], [50, 50, 90, 50, 90, 90, 50, 90]]
    some = column([square], None, [triangle], hole, [], [horseshoe], two)
    points = inner_points(flatten_polygons(some)).tolist()
    assert (points[0], points[2], points[6]) == ([5, 5], [10, 10], [70, 70])
    assert np.isnan(points[1]).all()
    assert np.isnan(points[4]).all()
    assert points[3] == [2, 5]
    assert points[5][0] in (5, 25)


def test_a_ring_with_an_odd_number_of_coordinates_is_refused() -> None:
    with pytest.raises(ManifestError, match="odd number of coordinates"):
        flatten_polygons(column([[1, 2, 3]]))


def test_replaced_points_keep_the_rings() -> None:
    some = column([[1, 2, 3, 4], []], None, [], [[5, 6]], [None, [7, 8]])[1:]
    found = flatten_polygons(some)
    assert replace_points(some, found.points).to_pylist() == [None, [], [[5, 6]], [[], [7, 8]]]
    assert found.point_of.tolist() == [2, 3]


HUGE = 1e9


def test_coordinates_far_beyond_the_image_are_exact_and_cheap() -> None:
    polygons = column(
        [[-HUGE, -HUGE, HUGE, -HUGE, HUGE, HUGE, -HUGE, HUGE]],
        [[0, 0, 10, 0, 10, 10, 0, 10]],
        [[0, 0, HUGE, 0, 0, 10]],
    )
    found = flatten_polygons(polygons)
    assert bounding_boxes(found).tolist() == [
        [-HUGE, -HUGE, HUGE, HUGE],
        [0, 0, 10, 10],
        [0, 0, HUGE, 10],
    ]
    middle, small, (x, y) = inner_points(found).tolist()
    assert middle == pytest.approx([0, 0], abs=1)
    assert small == [5, 5]
    assert 0 < x < HUGE * (1 - y / 10)
