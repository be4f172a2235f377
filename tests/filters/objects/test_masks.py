"""Boxes and points of polygons and masks: those of plain Python, and always on the thing."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from filters.objects.masks import Masks
from manifests.errors import ManifestError
from manifests.geometry.polygons import (
    bounding_boxes,
    flatten_polygons,
    inner_points,
    replace_points,
)
from manifests.geometry.run_lengths import (
    MAX_SIDE,
    column_spans,
    decompress_counts,
    mask_boxes,
    mask_points,
    read_masks,
)
from tests.filters.objects.records import (
    IMAGE,
    MIXED,
    alone,
    boxed,
    every_slice_is_answered_as_the_whole,
    left,
    of_objects,
    outlined,
    pointed,
)
from tests.filters.rows import answers

RINGS = pa.list_(pa.list_(pa.float32()))


def column(*polygons: list[list[float]] | None) -> pa.Array:
    return pa.array(polygons, RINGS)


def run_lengths(mask: np.ndarray) -> list[int]:
    """Of a mask (rows, columns), down the columns, what is outside first."""
    counts, now = [0], False
    for pixel in mask.T.reshape(-1).tolist():
        if pixel != now:
            counts.append(0)
            now = pixel
        counts[-1] += 1
    return counts


def compressed(counts: list[int]) -> str:
    """COCO's text of run lengths, one digit after the other."""
    text = ""
    for at, count in enumerate(counts):
        value = count - counts[at - 2] if at > 2 else count
        while True:
            digit, value = value & 31, value >> 5
            done = value == (-1 if digit & 16 else 0)
            text += chr(digit + (0 if done else 32) + 48)
            if done:
                break
    return text


def attributes(mask: np.ndarray, packed: bool = False) -> str:
    counts = run_lengths(mask)
    told = compressed(counts) if packed else counts
    return json.dumps({"rle": {"size": list(mask.shape), "counts": told}, "iscrowd": 1})


def measured(masks: list[np.ndarray], packed: bool) -> tuple[np.ndarray, np.ndarray]:
    """The boxes and points, in pixels."""
    said = pa.array([attributes(mask, packed) for mask in masks], pa.string())
    runs, broken = read_masks(said)
    assert (runs.objects.tolist(), broken.any()) == (list(range(len(masks))), False)
    inside = column_spans(runs)
    return mask_boxes(inside, len(masks)), mask_points(inside, len(masks))


a_mask = arrays.arrays(bool, arrays.array_shapes(min_dims=2, max_dims=2, max_side=9))


@given(st.lists(a_mask, max_size=5), st.booleans())
@example([np.zeros((3, 2), bool), np.ones((2, 3), bool), np.zeros((1, 1), bool)], True)
@example([np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], bool)], False)
def test_masks_are_measured_as_pixels_are(masks: list[np.ndarray], packed: bool) -> None:
    boxes, points = measured(masks, packed)
    for mask, box, (x, y) in zip(masks, boxes, points, strict=True):
        rows, columns = np.nonzero(mask)
        if not len(rows):
            assert np.isnan([*box, x, y]).all()
            continue
        around = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert tuple(box) == around
        assert mask[int(y), int(x)]
        height, width = mask.shape
        stored = np.array([x / width, y / height]) * 1000
        x32, y32 = stored.astype(np.float32) / np.float32(1000) * (width, height)
        assert mask[int(y32), int(x32)]
        centre = columns.mean() + 0.5, rows.mean() + 0.5
        if mask[int(centre[1]), int(centre[0])]:
            assert (x, y) == pytest.approx(centre, abs=0.0101)


@given(st.lists(st.lists(st.integers(0, 2**32 - 1), max_size=12), max_size=4))
def test_compressed_runs_are_read_back(counts: list[list[int]]) -> None:
    owner, lengths = decompress_counts([compressed(one).encode() for one in counts])
    assert [lengths[owner == n].tolist() for n in range(len(counts))] == counts


def test_a_point_is_in_the_column_of_the_centroid_where_that_has_any() -> None:
    horseshoe = np.ones((5, 5), bool)
    horseshoe[:4, 1:4] = False
    _, points = measured([horseshoe, horseshoe.T], packed=True)
    assert points.tolist() == [[2.5, 4.5], [2.5, 0.5]]


def test_points_on_the_edge_of_a_pixel_stay_in_it_as_float32() -> None:
    for width in range(7, 60):
        mask = np.zeros((1, width), bool)
        mask[0, [0, 1, 3, 6]] = True
        x, _ = measured([mask], packed=False)[1][0]
        assert int(float(np.float32(x / width * 1000)) * width / 1000) == 3


def test_runs_of_nothing_are_nowhere() -> None:
    rle = json.dumps({"rle": {"size": [2, 2], "counts": [1, 0, 2, 1]}})
    batch = of_objects([{"attributes": rle}], media=[IMAGE | {"width": 480}])
    assert left(Masks(to="box"), batch)[0][0]["box"] == [500, 500, 1000, 1000]


def test_compressed_runs_are_those_of_the_published_format() -> None:
    # The arithmetic by hand: 6 -> "6"; 40 = 8 + 32 -> 8 with more, then 1; 40 - 1 after "0", "1".
    owner, lengths = decompress_counts([b"6X1011"])
    assert lengths.tolist() == [6, 40, 0, 41, 1]
    assert owner.tolist() == [0] * 5


@pytest.mark.parametrize(
    "rle",
    [
        7,
        [],
        {},
        {"size": [2, 2]},
        {"size": [2], "counts": [4]},
        {"size": [0, 2], "counts": []},
        {"size": [True, True], "counts": [0, 1]},
        {"size": [2, MAX_SIDE + 1], "counts": [2 * MAX_SIDE + 2]},
        {"size": [2, 2], "counts": [1, 2]},
        {"size": [2, 2], "counts": [5, -1]},
        {"size": [2, 2], "counts": [0, 5, -1]},
        {"size": [2, 2], "counts": [1.5, 2.5]},
        {"size": [2, 2], "counts": [[1, 3]]},
        {"size": [2, 2], "counts": [2**70]},
        {"size": [2, 2], "counts": [2**62, 2**62, 2**62, 2**62, 4]},
        {"size": [2, 2], "counts": None},
        {"size": [2, 2], "counts": "1T"},
        {"size": [2, 2], "counts": "1S"},
        {"size": [2, 2], "counts": "1S" + "P" * 9 + "0"},
        {"size": [5, 5], "counts": "1(0"},
        {"size": [2, 2], "counts": "1é"},
        {"size": [2, 2], "counts": "o" * 30 + "1"},
        {"size": [2, 2], "counts": ""},
    ],
)
def test_a_mask_that_is_none_is_counted_and_makes_nothing(rle: Any) -> None:
    whole = attributes(np.ones((2, 2), bool))
    batch = of_objects(
        [{"attributes": whole}, {"attributes": json.dumps({"rle": rle})}, {"attributes": whole}],
        media=[IMAGE | {"width": 480}],
    )
    said = answers(Masks(), batch)
    assert (said["unread"], said["boxes"], said["points"], said["drop"]) == ([1], [2], [2], [None])
    everything = [0, 0, 1000, 1000]
    assert [one["box"] for one in said["objects"][0]] == [everything, None, everything]


def test_attributes_that_only_speak_of_masks_have_none() -> None:
    some = ['{"note": "\\"rle\\""}', '["rle"]', 'not "rle" JSON', '{"rle": null}', None]
    said = answers(Masks(), of_objects([{"attributes": one} for one in some]))
    assert (said["unread"], said["boxes"]) == ([0], [0])


def test_a_mask_of_another_image_makes_nothing() -> None:
    flat, high = np.ones((48, 64), bool), np.ones((64, 48), bool)
    objects = [{"attributes": attributes(one)} for one in (flat, high)]
    said = answers(Masks(), of_objects(objects))
    assert (said["unread"], said["boxes"]) == ([1], [1])
    turned = of_objects(objects, media=[IMAGE | {"orientation": 6}])
    assert answers(Masks(), turned)["objects"][0][0]["box"] is None
    unknown = of_objects(objects, media=[IMAGE | {"width": None}])
    assert answers(Masks(), unknown)["unread"] == [0]


def odd_rings(rings: list[list[float]], x: float, y: float) -> bool:
    """Whether a place is inside, edge by edge."""
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
    """How wide the widest stretch inside is at a height."""
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


def test_a_ring_of_an_odd_number_of_numbers_is_no_record_of_ours() -> None:
    with pytest.raises(ManifestError, match="odd number"):
        flatten_polygons(column([[1, 2, 3]]))


def test_polygons_are_written_back_as_they_were() -> None:
    some = column([[1, 2, 3, 4], []], None, [], [[5, 6]], [None, [7, 8]])[1:]
    found = flatten_polygons(some)
    assert replace_points(some, found.places).to_pylist() == [None, [], [[5, 6]], [[], [7, 8]]]
    assert found.place_of.tolist() == [2, 3]


SQUARE = [100, 100, 200, 100, 200, 200, 100, 200]


def test_objects_with_a_polygon_get_what_they_do_not_have() -> None:
    batch = of_objects(
        [outlined(SQUARE), outlined(SQUARE, box=[1, 1, 5, 5]), outlined(SQUARE, point=[3, 3])],
        [],
        [boxed(1, 1, 5, 5), pointed(3, 3)],
    )
    around, middle = [100, 100, 200, 200], [150, 150]
    said = answers(Masks(), batch)
    assert [one["box"] for one in said["objects"][0]] == [around, [1, 1, 5, 5], around]
    assert [one["point"] for one in said["objects"][0]] == [middle, middle, [3, 3]]
    assert (said["boxes"], said["points"]) == ([2, 0, 0], [2, 0, 0])
    assert (said["agreement"], said["drop"]) == ([0, None, None], [None] * 3)
    assert said["objects"][1:] == batch["objects"].to_pylist()[1:]
    over = answers(Masks(overwrite=True, to="box"), batch)
    assert [one["box"] for one in over["objects"][0]] == [around] * 3
    assert [one["point"] for one in over["objects"][0]] == [None, None, [3, 3]]
    assert (over["boxes"], over["points"]) == ([3, 0, 0], [0, 0, 0])


def test_boxes_far_from_their_mask_may_go() -> None:
    right = outlined(SQUARE, box=[100, 100, 200, 180])
    wrong = outlined(SQUARE, box=[100, 100, 200, 150])
    batch = of_objects([right, wrong], [wrong], [boxed(1, 1, 2, 2)])
    said = answers(Masks(min_agreement=0.8, to="point"), batch)
    assert said["agreement"] == [0.5, 0.5, None]
    assert (said["disagree"], said["points"]) == ([1, 1, 0], [1, 0, 0])
    assert said["drop"] == [None, "no object left", None]
    assert [len(some) for some in said["objects"]] == [1, 0, 1]
    kept = answers(Masks(min_agreement=0.8, empty="keep"), batch)
    assert kept["drop"] == [None] * 3


def test_a_polygon_without_an_inside_is_unread() -> None:
    said = alone(Masks(), outlined([5, 5, 9, 5]), outlined([]), outlined())
    assert (said["unread"], said["boxes"], said["points"]) == (3, 0, 0)


def test_a_polygon_goes_before_a_mask() -> None:
    both = outlined(SQUARE, attributes=attributes(np.ones((2, 2), bool)))
    assert left(Masks(to=["box"]), of_objects([both]))[0][0]["box"] == [100, 100, 200, 200]


def test_slices_are_answered_as_the_whole_is() -> None:
    for step in (Masks(), Masks(overwrite=True, min_agreement=0.9)):
        every_slice_is_answered_as_the_whole(step, MIXED)
    assert answers(Masks(), of_objects())["drop"] == []
