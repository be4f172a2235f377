"""Boxes that lie on each other: the earlier one stays."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.objects.box_duplicates import BoxDuplicates, first_of_duplicates
from manifests.geometry.boxes import iou
from tests.filters.objects.records import (
    IMAGE,
    MIXED,
    boxed,
    every_slice_is_answered_as_the_whole,
    left,
    of_objects,
    pointed,
)
from tests.filters.rows import answers

corner, side = st.integers(0, 12), st.integers(-1, 9)
box = st.tuples(corner, corner, side, side).map(
    lambda n: [float(v) for v in (n[0], n[1], n[0] + n[2], n[1] + n[3])]
)


def python_iou(a: list[float], b: list[float]) -> float:
    """Of two boxes, in plain Python; 1 of equal ones."""

    def area(x1: float, y1: float, x2: float, y2: float) -> float:
        return max(x2 - x1, 0) * max(y2 - y1, 0)

    shared = area(max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3]))
    union = area(*a) + area(*b) - shared
    return 1.0 if a == b else shared / union if union > 0 else 0.0


@given(st.lists(st.tuples(box, box), min_size=1, max_size=20))
def test_overlap_is_that_of_plain_python(pairs: list[tuple[list[float], list[float]]]) -> None:
    a, b = (np.array(side) for side in zip(*pairs, strict=True))
    assert iou(a, b).tolist() == [python_iou(x, y) for x, y in pairs]


@given(
    st.lists(st.tuples(box, st.integers(0, 2)), max_size=30),
    st.sampled_from([0.1, 0.5, 0.75, 1.0]),
)
def test_the_first_stays_of_what_overlaps_it(
    some: list[tuple[list[float], int]], threshold: float
) -> None:
    expected: list[bool] = []
    for at, (one, group) in enumerate(some):
        earlier = (some[n] for n in range(at) if expected[n])
        expected.append(all(g != group or python_iou(b, one) < threshold for b, g in earlier))
    boxes = np.array([b for b, _ in some], np.float64).reshape(-1, 4)
    groups = np.array([g for _, g in some], np.int64)
    assert first_of_duplicates(boxes, groups, threshold).tolist() == expected


def test_of_a_chain_the_third_stays_that_overlaps_only_what_went() -> None:
    chain = [boxed(0, 0, 100, 10), boxed(30, 0, 130, 10), boxed(60, 0, 160, 10)]
    said = answers(BoxDuplicates(threshold=0.5), of_objects(chain))
    assert ([one["box"][0] for one in said["objects"][0]], said["removed"]) == ([0, 60], [1])


A = [0, 0, 100, 100]


@pytest.mark.parametrize(
    "other",
    [
        boxed(*A, label="b"),
        boxed(*A, label=None),
        boxed(*A, text="the left one"),
        boxed(*A, media=1),
        boxed(*A, start=1.0),
        boxed(*A, end=1.0),
        boxed(0, 0, 100, 89),
        pointed(50, 50),
        boxed(0, 0, 100),
    ],
)
def test_other_things_are_no_duplicates(other: dict[str, Any]) -> None:
    batch = of_objects([boxed(*A), other], media=[IMAGE, IMAGE])
    assert [len(some) for some in left(BoxDuplicates(), batch)] == [2]


def test_records_are_compared_with_themselves_alone() -> None:
    batch = of_objects([boxed(*A)], [boxed(*A), boxed(0, 0, 100, 91)], [], [boxed(*A)])
    said = answers(BoxDuplicates(), batch)
    assert (said["removed"], said["drop"]) == ([0, 1, 0, 0], [None] * 4)
    assert [len(some) for some in said["objects"]] == [1, 1, 0, 1]


def test_objects_without_a_label_are_of_one() -> None:
    batch = of_objects([boxed(*A, label=None), boxed(*A, label=None), boxed(*A, label="")])
    assert answers(BoxDuplicates(), batch)["removed"] == [1]


def test_boxes_without_an_area_are_duplicates_where_they_are_equal() -> None:
    batch = of_objects([boxed(5, 5, 5, 9), boxed(5, 5, 5, 9), boxed(5, 5, 5, 8)])
    assert answers(BoxDuplicates(), batch)["removed"] == [1]


def test_thousands_of_boxes_of_one_label_take_seconds_at_most() -> None:
    draw = np.random.default_rng(3)
    crowd = draw.uniform(0, 990, (4000, 2))
    apart = np.concatenate([crowd, crowd + 5], axis=1)
    alike = np.array(A, np.float64) + draw.normal(0, 0.01, (4000, 4))
    start = time.process_time()
    groups = np.repeat([0, 1], 4000)
    stays = first_of_duplicates(np.concatenate([apart, alike]), groups, 0.9)
    assert time.process_time() - start < 20
    assert stays[4000:].tolist() == [True] + [False] * 3999
    assert stays[:4000].sum() > 3900


def test_slices_are_answered_as_the_whole_is() -> None:
    every_slice_is_answered_as_the_whole(BoxDuplicates(), MIXED)
