"""Boxes, points and polygons are clipped to their image, or removed for one reason."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from filters.objects.boxes import Boxes
from manifests.geometry.object_media import NO_IMAGE
from manifests.geometry.shown_sizes import UNKNOWN_SIZE
from tests.filters.objects.records import (
    IMAGE,
    MIXED,
    assert_slices_agree,
    records_of,
    remaining_objects,
    result_of_one_record,
    with_box,
    with_point,
    with_polygon,
)
from tests.filters.rows import answers

MEASURES = tuple(Boxes().measures())


def nonzero_measures(step: Boxes, *objects: dict[str, Any]) -> dict[str, Any]:
    """The measures that are not 0, and the drop reason."""
    result = result_of_one_record(step, *objects)
    return {n: result[n] for n in (*MEASURES, "drop", "error") if result[n]}


def test_a_box_partly_outside_is_clipped() -> None:
    batch = records_of([with_box(-100, -1, 500, 1001), with_box(0, 0, 1000, 1000)])
    result = answers(Boxes(), batch)
    assert [one["box"] for one in result["objects"][0]] == [[0, 0, 500, 1000], [0, 0, 1000, 1000]]
    assert result["clipped"] == [1]


def test_without_clip_the_same_boxes_are_removed_and_none_is_changed() -> None:
    objects = [with_box(-100, 0, 500, 1000), with_box(-100, 0, 20, 1000), with_point(1000.25, 3)]
    batch = records_of(objects)
    result = answers(Boxes(clip=False), batch)
    assert result["objects"][0] == batch["objects"].to_pylist()[0][::2]
    assert (result["clipped"], result["outside"]) == ([0], [1])


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (with_box(500, 0, 500, 10), "degenerate"),
        (with_box(500, 10, 400, 20), "degenerate"),
        (with_box(400, 20, 500, 10), "degenerate"),
        (with_box(math.nan, 0, 500, 10), "degenerate"),
        (with_box(0, 0, math.inf, 10), "degenerate"),
        (with_box(0, 0, 10), "degenerate"),
        (with_box(), "degenerate"),
        (with_point(math.nan, 3), "degenerate"),
        (with_point(3), "degenerate"),
        (with_polygon(), "degenerate"),
        (with_polygon([]), "degenerate"),
        (with_polygon([5, 5, 9, 5]), "degenerate"),
        (with_polygon([5, 5, math.nan, 7, 9, 9]), "degenerate"),
        (with_box(1000, 0, 1200, 10), "outside"),
        (with_box(-300, 0, 200, 500), "outside"),
        (with_box(1e6, 1e6, 2e6, 2e6), "outside"),
        (with_polygon([1000, 0, 1200, 0, 1100, 50]), "outside"),
        (with_point(1000.6, 5), "outside"),
        (with_point(5, -0.6), "outside"),
        (with_point(5, 2000, box=[0, 0, 10, 10]), "outside"),
        (with_box(10.6, 0, 11.4, 500), "small"),
        (with_box(10.0, 0, 500, 0.4), "small"),
        (with_box(0, 0, 1000, 1000), "large"),
        (with_polygon([0, 0, 1000, 0, 1000, 1000], box=[0, 0, 980, 980]), "large"),
        (with_polygon([0, 0, 10, 0, 10, 10], box=[5, 5, 5, 9]), "degenerate"),
    ],
)
def test_an_object_is_removed_for_one_reason(one: dict[str, Any], reason: str) -> None:
    assert nonzero_measures(Boxes(max_share=0.95), one, with_box(1, 1, 9, 9)) == {reason: 1}
    assert nonzero_measures(Boxes(max_share=0.95), one) == {reason: 1, "drop": "no object left"}
    assert nonzero_measures(Boxes(max_share=0.95, empty="keep"), one) == {reason: 1}


@pytest.mark.parametrize(
    "one",
    [
        with_box(10.5, 0, 11.45, 500),
        with_polygon([5, 5, 9, 5], box=[0, 0, 10, 10]),
        with_box(-300, 0, 300, 500),
        with_box(-1, -1, 970, 970),
        with_point(0, 1000),
        with_point(1000.5, -0.5),
        with_polygon([10, 10, 12, 10, 12, 12]),
        {"label": "a"},
        {"box3d": [1.0] * 9},
        {"start": 0.0, "end": 2.0},
    ],
)
def test_usable_objects_stay(one: dict[str, Any]) -> None:
    assert [len(some) for some in remaining_objects(Boxes(max_share=0.95), records_of([one]))] == [
        1
    ]


def test_a_box_with_no_part_in_the_image_is_always_removed() -> None:
    assert nonzero_measures(
        Boxes(min_inside=0), with_box(1000, 0, 1200, 10), with_box(999, 0, 2000, 10)
    ) == {
        "outside": 1,
        "clipped": 1,
    }
    assert nonzero_measures(Boxes(max_share=1), with_box(0, 0, 1000, 1000)) == {}


def test_points_just_outside_move_to_the_edge() -> None:
    assert remaining_objects(Boxes(), records_of([with_point(1000.25, -0.5)])) == [
        [{"label": "a", "media": 0, "point": [1000, 0]}]
    ]


def test_corners_of_polygons_move_to_the_edge_and_other_rings_stay() -> None:
    batch = records_of(
        [with_polygon([-5, 10, 300, 10, 300, 400], [20, 20, 30, 20, 30, 30])],
        [],
        [with_box(1, 2, 3, 4), with_polygon([1, 1, 9, 1, 9, 9])],
    )
    result = answers(Boxes(), batch)
    assert [[one["polygon"] for one in some] for some in result["objects"]] == [
        [[[0, 10, 300, 10, 300, 400], [20, 20, 30, 20, 30, 30]]],
        [],
        [None, [[1, 1, 9, 1, 9, 9]]],
    ]
    assert result["clipped"] == [1, 0, 0]


def test_float32_errors_at_the_edge_are_corrected_and_not_counted() -> None:
    beyond = float(np.nextafter(np.float32(1000), np.float32(2000)))
    result = result_of_one_record(Boxes(min_inside=1), with_box(999, 0, beyond, beyond))
    assert (result["objects"][0]["box"], result["clipped"]) == ([999, 0, 1000, 1000], 0)


def test_min_pixels_refers_to_the_image_as_shown() -> None:
    lying = {**IMAGE, "width": 1000, "height": 100}
    for orientation, small in ((None, 1), (1, 1), (6, 0)):
        batch = records_of(
            [with_box(0, 0, 100, 20), with_box(0, 0, 500, 500)],
            media=[lying | {"orientation": orientation}],
        )
        assert answers(Boxes(min_pixels=3), batch)["small"] == [small]


def test_each_object_is_measured_on_its_own_medium() -> None:
    media = [IMAGE | {"width": 50, "height": 50}, IMAGE | {"kind": "video"}]
    objects = [with_box(0, 0, 100, 100, media=0), with_box(0, 0, 100, 100, media=1)]
    batch = records_of(objects, objects[1:], media=media)
    result = answers(Boxes(min_pixels=10), batch)
    assert (result["small"], result["error"]) == ([1, 0], [None, None])


@pytest.mark.parametrize(
    ("media", "number", "fault"),
    [
        ([], 0, NO_IMAGE),
        ([IMAGE], 1, NO_IMAGE),
        ([IMAGE], -1, NO_IMAGE),
        ([IMAGE, IMAGE], None, NO_IMAGE),
        ([IMAGE | {"width": None}], 0, UNKNOWN_SIZE),
        ([IMAGE | {"height": 0}], 0, UNKNOWN_SIZE),
    ],
)
def test_min_pixels_on_an_image_of_unknown_size_is_an_error(
    media: list[Any], number: int | None, fault: str
) -> None:
    batch = records_of([], [with_box(0, 0, 9, 9, media=number)], [{"media": 7}], media=media)
    known = records_of([with_box(0, 0, 9, 9)])
    batch = pa.concat_tables([known, batch, known])
    assert answers(Boxes(min_pixels=1), batch)["error"] == [None, None, fault, None, None]
    assert answers(Boxes(), batch)["error"] == [None] * 5


def test_an_object_without_a_medium_is_on_the_only_one() -> None:
    batch = records_of([with_box(0, 0, 9, 9, media=None)])
    assert answers(Boxes(min_pixels=1), batch)["error"] == [None]


def test_records_without_objects_stay() -> None:
    assert answers(Boxes(min_pixels=1), records_of([], []))["drop"] == [None, None]
    assert answers(Boxes(min_pixels=1), records_of())["objects"] == []


def test_slices_give_the_same_results_as_the_batch() -> None:
    for step in (Boxes(), Boxes(clip=False, min_pixels=2, max_share=0.5)):
        assert_slices_agree(step, MIXED)


places = st.one_of(
    st.integers(-2000, 3000).map(float),
    st.floats(-50, 1050, width=32),
    st.sampled_from([0.0, 1000.0, 0.5, 999.5, math.nan, math.inf]),
)
STEP = Boxes(min_inside=0.25, min_side=2, min_pixels=3, max_share=0.9)


def reason(box: list[float]) -> str | None:
    """The reason to remove a box on 640 x 480, by the rules of `STEP` one after the other."""
    if not all(map(math.isfinite, box)):
        return "degenerate"
    a, b, c, d = (min(max(v, 0.0), 1000.0) if -1e-3 <= v <= 1000 + 1e-3 else v for v in box)
    if a >= c or b >= d:
        return "degenerate"
    a0, b0, c0, d0 = (min(max(v, 0.0), 1000.0) for v in (a, b, c, d))
    share = (c0 - a0) * (d0 - b0) / ((c - a) * (d - b))
    if share < 0.25 or share == 0:
        return "outside"
    if round(c0) - round(a0) < 2 or round(d0) - round(b0) < 2:
        return "small"
    if (c0 - a0) * (640 / 1000) < 3 or (d0 - b0) * (480 / 1000) < 3:
        return "small"
    return "large" if (c0 - a0) * (d0 - b0) > 0.9 * 1000**2 else None


@given(st.lists(st.lists(st.lists(places, min_size=4, max_size=4), max_size=4), max_size=6))
@example([[[-1.0, 0.0, 1000.0, 1000.0], [0.0, 0.0, 3.0, 100.0]], []])
def test_results_equal_the_rules_applied_one_by_one(records: list[list[list[float]]]) -> None:
    result = answers(STEP, records_of(*([with_box(*box) for box in some] for some in records)))
    for at, some in enumerate(records):
        reasons = [reason(box) for box in some]
        kept = [box for box, why in zip(some, reasons, strict=True) if why is None]
        clipped = [[min(max(v, 0.0), 1000.0) for v in box] for box in kept]
        assert [one["box"] for one in result["objects"][at]] == clipped
        for name in ("degenerate", "outside", "small", "large"):
            assert result[name][at] == reasons.count(name)
        moved = (np.abs(np.subtract(*two)).max() > 1e-3 for two in zip(kept, clipped, strict=True))
        assert result["clipped"][at] == sum(moved)
        assert result["drop"][at] == ("no object left" if some and not kept else None)
