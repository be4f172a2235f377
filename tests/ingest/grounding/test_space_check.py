"""Numbers that contradict their space: told with file, rows and what would fit; no false alarm."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from curate.ingest.grounding.annotations.space_check import Coordinates, check_space, is_impossible
from manifests.errors import InputError
from manifests.geometry.space import SPACES, Form, Space, Unit, boxes_from_units, points_from_units

EVERY = [Space(form=form, unit=unit) for form in get_args(Form) for unit in get_args(Unit)]


def said(
    values: list[list[float]] | np.ndarray, width: float = 640, height: float = 480
) -> Coordinates:
    array = np.array(values, np.float64)
    return Coordinates(array, np.tile([width, height], (len(array), 1)), np.arange(len(array)))


def fault(numbers: Coordinates, space: Space) -> str:
    with pytest.raises(InputError) as caught:
        check_space(numbers, space, "boxes.json", [f"row-{n}" for n in range(len(numbers.values))])
    return str(caught.value)


def drawn(seed: int, count: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Boxes anywhere on images of any size, (n, 4) in [0,1000], and the sizes."""
    random = np.random.default_rng(seed)
    corners = np.sort(random.uniform(0, 1000, (count, 2, 2)), axis=1)
    return corners.reshape(-1, 4), random.integers(200, 2000, (count, 2)).astype(float)


@pytest.mark.parametrize("space", EVERY, ids=str)
def test_numbers_in_their_own_space_are_never_refused(space: Space) -> None:
    units, sizes = drawn(1)
    for count in (1, 2, 3, 10, 200):
        values = boxes_from_units(units[:count], sizes[:count], space)
        check_space(Coordinates(values, sizes[:count], np.arange(count)), space, "f", ["x"] * count)
        points = points_from_units(units[:count, :2], sizes[:count], space)
        check_space(Coordinates(points, sizes[:count], np.arange(count)), space, "f", ["x"] * count)


def _tells_apart(true: Space, declared: Space) -> bool:
    """Whether numbers can tell: the same shares with x and y exchanged look alike, and percents
    as pixels of a corner are within their images."""
    swapped = {"xyxy": "yxyx", "xywh": "yxhw"}
    forms = {true.form, declared.form}
    alike = true.unit == declared.unit != "pixel" and any(
        forms == {a, b} for a, b in swapped.items()
    )
    return not alike and not (true.unit == "percent" and declared.unit == "pixel")


@pytest.mark.parametrize("true", EVERY, ids=str)
def test_numbers_in_another_space_are_refused_and_their_own_is_named(true: Space) -> None:
    units, sizes = drawn(2)
    numbers = Coordinates(boxes_from_units(units, sizes, true), sizes, np.arange(len(units)))
    for declared in EVERY:
        if declared != true and _tells_apart(true, declared):
            told = fault(numbers, declared)
            assert f"{str(declared)!r}" in told
            assert "would fit: set `space`" in told


def test_a_fraction_of_312_is_told_with_the_space_that_fits() -> None:
    told = fault(said([[312, 40, 500, 80]]), SPACES["fraction"])
    assert told == (
        "boxes.json: 1 of 1 boxes contradict 'xyxy fraction': [312, 40, 500, 80], on an image of "
        "640 x 480, would be at [312000, 40000, 500000, 80000] of 1000. Rows row-0. "
        "'xyxy pixel' or 'xyxy thousandth' or 'xywh thousandth' would fit: set `space`."
    )


def test_corners_and_sizes_taken_for_corners_are_told() -> None:
    units, sizes = drawn(3)
    coco = boxes_from_units(units, sizes, SPACES["coco"])
    told = fault(Coordinates(coco, sizes, np.arange(len(coco))), Space(form="xyxy", unit="pixel"))
    assert "'xywh pixel'" in told.rpartition("Rows ")[2]
    wrong = np.flatnonzero((coco[:, 2:] + 10 * sizes / 1000 < coco[:, :2]).any(axis=1))
    assert f"Rows row-{wrong[0]}, " in told
    assert f" and {len(wrong) - 5} more. " in told


def test_percents_taken_for_pixels_are_told_though_all_lie_inside() -> None:
    random = np.random.default_rng(4)
    points = said(random.uniform(0, 100, (80, 2)), 1200, 900)
    told = fault(points, Space(form="xyxy", unit="pixel"))
    assert "all 80 points lie in the first quarter of their images as 'xyxy pixel'" in told
    assert "'xyxy percent'" in told
    check_space(
        said(points.values[:40], 1200, 900), Space(form="xyxy", unit="pixel"), "f", ["x"] * 40
    )


def test_a_space_that_leaves_most_of_the_images_empty_is_not_proposed() -> None:
    random = np.random.default_rng(6)
    percents = said(random.uniform(0, 100, (80, 2)), 1200, 900)
    told = fault(percents, Space(form="xyxy", unit="fraction")).rpartition("Rows")[2]
    assert "'xyxy percent'" in told
    assert "pixel" not in told


def test_few_faults_among_many_are_the_annotators_not_the_space() -> None:
    units, sizes = drawn(5)
    values = boxes_from_units(units, sizes, SPACES["coco"])
    values[:20] *= 40
    check_space(Coordinates(values, sizes, np.arange(200)), SPACES["coco"], "f", ["x"] * 200)


def test_numbers_that_fit_no_space_are_told_so() -> None:
    told = fault(said([[1e7, 2e7, 3e7, 4e7]] * 5), SPACES["coco"])
    assert told.endswith(
        "No known space would fit; `trust: true` accepts the coordinates unchecked."
    )


def test_impossible_is_what_is_in_no_way_on_the_image() -> None:
    boxes = np.array([
        [0, 0, 1000, 1000], [-900, 0, 1900, 10], [-1100, 0, 10, 10], [0, 0, 2100, 10],
        [np.nan, 0, 1, 1], [0, 0, np.inf, 1], [500, 0, 495, 10], [500, 0, 480, 10],
    ], np.float64)  # fmt: skip
    assert is_impossible(boxes).tolist() == [False, False, True, True, True, True, False, True]
    assert is_impossible(np.array([[500.0, 500.0], [3000.0, 0.0]])).tolist() == [False, True]
    assert is_impossible(np.empty((0, 4))).tolist() == []
