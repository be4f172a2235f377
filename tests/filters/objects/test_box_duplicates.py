"""Duplicate boxes: the earlier one stays."""

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
    assert_slices_agree,
    records_of,
    remaining_objects,
    with_box,
    with_point,
)
from tests.filters.rows import answers

corner, side = st.integers(0, 12), st.integers(-1, 9)
box = st.tuples(corner, corner, side, side).map(
    lambda n: [float(v) for v in (n[0], n[1], n[0] + n[2], n[1] + n[3])]
)


def python_iou(a: list[float], b: list[float]) -> float:
    """IoU of two boxes in plain Python; 1 for equal ones."""

    def area(x1: float, y1: float, x2: float, y2: float) -> float:
        return max(x2 - x1, 0) * max(y2 - y1, 0)

    shared = area(max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3]))
    union = area(*a) + area(*b) - shared
    return 1.0 if a == b else shared / union if union > 0 else 0.0


@given(st.lists(st.tuples(box, box), min_size=1, max_size=20))
def test_iou_equals_plain_python(pairs: list[tuple[list[float], list[float]]]) -> None:
    a, b = (np.array(side) for side in zip(*pairs, strict=True))
    assert iou(a, b).tolist() == [python_iou(x, y) for x, y in pairs]


@given(
    st.lists(st.tuples(box, st.integers(0, 2)), max_size=30),
    st.sampled_from([0.1, 0.5, 0.75, 1.0]),
)
def test_the_first_of_overlapping_boxes_stays(
    some: list[tuple[list[float], int]], threshold: float
) -> None:
    expected: list[bool] = []
    for at, (one, group) in enumerate(some):
        earlier = (some[n] for n in range(at) if expected[n])
        expected.append(all(g != group or python_iou(b, one) < threshold for b, g in earlier))
    boxes = np.array([b for b, _ in some], np.float64).reshape(-1, 4)
    groups = np.array([g for _, g in some], np.int64)
    assert first_of_duplicates(boxes, groups, threshold).tolist() == expected


def test_in_a_chain_the_third_box_stays_if_it_overlaps_only_a_removed_one() -> None:
    chain = [with_box(0, 0, 100, 10), with_box(30, 0, 130, 10), with_box(60, 0, 160, 10)]
    result = answers(BoxDuplicates(threshold=0.5), records_of(chain))
    assert ([one["box"][0] for one in result["objects"][0]], result["removed"]) == ([0, 60], [1])


A = [0, 0, 100, 100]


@pytest.mark.parametrize(
    "other",
    [
        with_box(*A, label="b"),
        with_box(*A, label=None),
        with_box(*A, text="the left one"),
        with_box(*A, media=1),
        with_box(*A, start=1.0),
        with_box(*A, end=1.0),
        with_box(0, 0, 100, 89),
        with_point(50, 50),
        with_box(0, 0, 100),
    ],
)
def test_objects_that_differ_in_another_field_are_not_duplicates(other: dict[str, Any]) -> None:
    batch = records_of([with_box(*A), other], media=[IMAGE, IMAGE])
    assert [len(some) for some in remaining_objects(BoxDuplicates(), batch)] == [2]


def test_boxes_of_different_records_are_not_compared() -> None:
    batch = records_of([with_box(*A)], [with_box(*A), with_box(0, 0, 100, 91)], [], [with_box(*A)])
    result = answers(BoxDuplicates(), batch)
    assert (result["removed"], result["drop"]) == ([0, 1, 0, 0], [None] * 4)
    assert [len(some) for some in result["objects"]] == [1, 1, 0, 1]


def test_objects_without_a_label_are_compared_with_each_other() -> None:
    batch = records_of([with_box(*A, label=None), with_box(*A, label=None), with_box(*A, label="")])
    assert answers(BoxDuplicates(), batch)["removed"] == [1]


def test_boxes_without_an_area_are_duplicates_if_equal() -> None:
    batch = records_of([with_box(5, 5, 5, 9), with_box(5, 5, 5, 9), with_box(5, 5, 5, 8)])
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


def test_slices_give_the_same_results_as_the_batch() -> None:
    assert_slices_agree(BoxDuplicates(), MIXED)
