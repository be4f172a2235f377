"""Boxes brought into their image: which go and why, and what is clipped."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from filters.objects.boxes import Boxes
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

MEASURES = tuple(Boxes().measures())


def nonzero_measures(step: Boxes, *objects: dict[str, Any]) -> dict[str, Any]:
    """What is not nothing of the measures, and the reason to go."""
    said = alone(step, *objects)
    return {n: said[n] for n in (*MEASURES, "drop", "error") if said[n]}


def test_a_box_that_reaches_out_is_clipped() -> None:
    batch = of_objects([boxed(-100, -1, 500, 1001), boxed(0, 0, 1000, 1000)])
    said = answers(Boxes(), batch)
    assert [one["box"] for one in said["objects"][0]] == [[0, 0, 500, 1000], [0, 0, 1000, 1000]]
    assert said["clipped"] == [1]


def test_without_clip_boxes_are_judged_the_same_and_left_as_they_are() -> None:
    objects = [boxed(-100, 0, 500, 1000), boxed(-100, 0, 20, 1000), pointed(1000.25, 3)]
    batch = of_objects(objects)
    said = answers(Boxes(clip=False), batch)
    assert said["objects"][0] == batch["objects"].to_pylist()[0][::2]
    assert (said["clipped"], said["outside"]) == ([0], [1])


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (boxed(500, 0, 500, 10), "degenerate"),
        (boxed(500, 10, 400, 20), "degenerate"),
        (boxed(400, 20, 500, 10), "degenerate"),
        (boxed(math.nan, 0, 500, 10), "degenerate"),
        (boxed(0, 0, math.inf, 10), "degenerate"),
        (boxed(0, 0, 10), "degenerate"),
        (boxed(), "degenerate"),
        (pointed(math.nan, 3), "degenerate"),
        (pointed(3), "degenerate"),
        (outlined(), "degenerate"),
        (outlined([]), "degenerate"),
        (outlined([5, 5, 9, 5]), "degenerate"),
        (outlined([5, 5, math.nan, 7, 9, 9]), "degenerate"),
        (boxed(1000, 0, 1200, 10), "outside"),
        (boxed(-300, 0, 200, 500), "outside"),
        (boxed(1e6, 1e6, 2e6, 2e6), "outside"),
        (outlined([1000, 0, 1200, 0, 1100, 50]), "outside"),
        (pointed(1000.6, 5), "outside"),
        (pointed(5, -0.6), "outside"),
        (pointed(5, 2000, box=[0, 0, 10, 10]), "outside"),
        (boxed(10.6, 0, 11.4, 500), "small"),
        (boxed(10.0, 0, 500, 0.4), "small"),
        (boxed(0, 0, 1000, 1000), "large"),
        (outlined([0, 0, 1000, 0, 1000, 1000], box=[0, 0, 980, 980]), "large"),
        (outlined([0, 0, 10, 0, 10, 10], box=[5, 5, 5, 9]), "degenerate"),
    ],
)
def test_an_object_goes_for_one_reason(one: dict[str, Any], reason: str) -> None:
    assert nonzero_measures(Boxes(max_share=0.95), one, boxed(1, 1, 9, 9)) == {reason: 1}
    assert nonzero_measures(Boxes(max_share=0.95), one) == {reason: 1, "drop": "no object left"}
    assert nonzero_measures(Boxes(max_share=0.95, empty="keep"), one) == {reason: 1}


@pytest.mark.parametrize(
    "one",
    [
        boxed(10.5, 0, 11.45, 500),
        outlined([5, 5, 9, 5], box=[0, 0, 10, 10]),
        boxed(-300, 0, 300, 500),
        boxed(-1, -1, 970, 970),
        pointed(0, 1000),
        pointed(1000.5, -0.5),
        outlined([10, 10, 12, 10, 12, 12]),
        {"label": "a"},
        {"box3d": [1.0] * 9},
        {"start": 0.0, "end": 2.0},
    ],
)
def test_others_stay(one: dict[str, Any]) -> None:
    assert [len(some) for some in left(Boxes(max_share=0.95), of_objects([one]))] == [1]


def test_nothing_in_the_image_is_outside_and_all_of_it_may_be_allowed() -> None:
    assert nonzero_measures(
        Boxes(min_inside=0), boxed(1000, 0, 1200, 10), boxed(999, 0, 2000, 10)
    ) == {
        "outside": 1,
        "clipped": 1,
    }
    assert nonzero_measures(Boxes(max_share=1), boxed(0, 0, 1000, 1000)) == {}


def test_points_just_outside_move_to_the_edge() -> None:
    assert left(Boxes(), of_objects([pointed(1000.25, -0.5)])) == [
        [{"label": "a", "media": 0, "point": [1000, 0]}]
    ]


def test_corners_of_polygons_move_to_the_edge_and_other_rings_stay() -> None:
    batch = of_objects(
        [outlined([-5, 10, 300, 10, 300, 400], [20, 20, 30, 20, 30, 30])],
        [],
        [boxed(1, 2, 3, 4), outlined([1, 1, 9, 1, 9, 9])],
    )
    said = answers(Boxes(), batch)
    assert [[one["polygon"] for one in some] for some in said["objects"]] == [
        [[[0, 10, 300, 10, 300, 400], [20, 20, 30, 20, 30, 30]]],
        [],
        [None, [[1, 1, 9, 1, 9, 9]]],
    ]
    assert said["clipped"] == [1, 0, 0]


def test_what_float32_put_outside_is_at_the_edge_and_not_counted() -> None:
    beyond = float(np.nextafter(np.float32(1000), np.float32(2000)))
    said = alone(Boxes(min_inside=1), boxed(999, 0, beyond, beyond))
    assert (said["objects"][0]["box"], said["clipped"]) == ([999, 0, 1000, 1000], 0)


def test_sides_in_pixels_are_of_the_image_as_it_is_shown() -> None:
    lying = {**IMAGE, "width": 1000, "height": 100}
    for orientation, small in ((None, 1), (1, 1), (6, 0)):
        batch = of_objects(
            [boxed(0, 0, 100, 20), boxed(0, 0, 500, 500)],
            media=[lying | {"orientation": orientation}],
        )
        assert answers(Boxes(min_pixels=3), batch)["small"] == [small]


def test_each_object_is_measured_on_its_own_medium() -> None:
    media = [IMAGE | {"width": 50, "height": 50}, IMAGE | {"kind": "video"}]
    objects = [boxed(0, 0, 100, 100, media=0), boxed(0, 0, 100, 100, media=1)]
    batch = of_objects(objects, objects[1:], media=media)
    said = answers(Boxes(min_pixels=10), batch)
    assert (said["small"], said["error"]) == ([1, 0], [None, None])


@pytest.mark.parametrize(
    ("media", "number"),
    [
        ([], 0),
        ([IMAGE], 1),
        ([IMAGE], -1),
        ([IMAGE, IMAGE], None),
        ([IMAGE | {"width": None}], 0),
        ([IMAGE | {"height": 0}], 0),
    ],
)
def test_pixels_of_an_unknown_image_are_an_error(media: list[Any], number: int | None) -> None:
    fault = "an object on an image of unknown size"
    batch = of_objects([], [boxed(0, 0, 9, 9, media=number)], [{"media": 7}], media=media)
    known = of_objects([boxed(0, 0, 9, 9)])
    batch = pa.concat_tables([known, batch, known])
    assert answers(Boxes(min_pixels=1), batch)["error"] == [None, None, fault, None, None]
    assert answers(Boxes(), batch)["error"] == [None] * 5


def test_an_object_that_names_no_medium_is_on_the_only_one() -> None:
    batch = of_objects([boxed(0, 0, 9, 9, media=None)])
    assert answers(Boxes(min_pixels=1), batch)["error"] == [None]


def test_records_without_objects_stay() -> None:
    assert answers(Boxes(min_pixels=1), of_objects([], []))["drop"] == [None, None]
    assert answers(Boxes(min_pixels=1), of_objects())["objects"] == []


def test_slices_are_answered_as_the_whole_is() -> None:
    for step in (Boxes(), Boxes(clip=False, min_pixels=2, max_share=0.5)):
        every_slice_is_answered_as_the_whole(step, MIXED)


places = st.one_of(
    st.integers(-2000, 3000).map(float),
    st.floats(-50, 1050, width=32),
    st.sampled_from([0.0, 1000.0, 0.5, 999.5, math.nan, math.inf]),
)
STEP = Boxes(min_inside=0.25, min_side=2, min_pixels=3, max_share=0.9)


def reason(box: list[float]) -> str | None:
    """Why a box on 640 x 480 goes, by the rules of `STEP` one after the other."""
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
def test_boxes_are_judged_as_one_by_one(records: list[list[list[float]]]) -> None:
    said = answers(STEP, of_objects(*([boxed(*box) for box in some] for some in records)))
    for at, some in enumerate(records):
        reasons = [reason(box) for box in some]
        kept = [box for box, why in zip(some, reasons, strict=True) if why is None]
        clipped = [[min(max(v, 0.0), 1000.0) for v in box] for box in kept]
        assert [one["box"] for one in said["objects"][at]] == clipped
        for name in ("degenerate", "outside", "small", "large"):
            assert said[name][at] == reasons.count(name)
        moved = (np.abs(np.subtract(*two)).max() > 1e-3 for two in zip(kept, clipped, strict=True))
        assert said["clipped"][at] == sum(moved)
        assert said["drop"][at] == ("no object left" if some and not kept else None)
