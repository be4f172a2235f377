"""Coordinates that contradict their space are refused with the space that fits; others pass."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from curate.ingest.grounding.annotations.space_check import (
    Coordinates,
    check_evidence,
    is_impossible,
    space_evidence,
)
from manifests.errors import InputError
from manifests.geometry.space import SPACES, Form, Space, Unit, boxes_from_units, points_from_units

EVERY = [Space(form=form, unit=unit) for form in get_args(Form) for unit in get_args(Unit)]


def coordinates(
    values: list[list[float]] | np.ndarray, width: float = 640, height: float = 480
) -> Coordinates:
    array = np.array(values, np.float64)
    return Coordinates(array, np.tile([width, height], (len(array), 1)), np.arange(len(array)))


def check_space(numbers: Coordinates, space: Space, place: str, names: list[str]) -> None:
    check_evidence(space_evidence(numbers, space, place, names), space, place)


def error_text(numbers: Coordinates, space: Space) -> str:
    with pytest.raises(InputError) as caught:
        check_space(numbers, space, "boxes.json", [f"row-{n}" for n in range(len(numbers.values))])
    return str(caught.value)


def random_boxes(seed: int, count: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Boxes anywhere on images of any size, (n, 4) in [0,1000], and the sizes."""
    random = np.random.default_rng(seed)
    corners = np.sort(random.uniform(0, 1000, (count, 2, 2)), axis=1)
    return corners.reshape(-1, 4), random.integers(200, 2000, (count, 2)).astype(float)


@pytest.mark.parametrize("space", EVERY, ids=str)
def test_coordinates_in_their_own_space_are_never_refused(space: Space) -> None:
    units, sizes = random_boxes(1)
    for count in (1, 2, 3, 10, 200):
        values = boxes_from_units(units[:count], sizes[:count], space)
        check_space(Coordinates(values, sizes[:count], np.arange(count)), space, "f", ["x"] * count)
        points = points_from_units(units[:count, :2], sizes[:count], space)
        check_space(Coordinates(points, sizes[:count], np.arange(count)), space, "f", ["x"] * count)


def _is_distinguishable(true: Space, declared: Space) -> bool:
    """Whether coordinates can show the difference. They cannot if x and y are swapped in a relative
    space, or if percents are declared as pixels, which all lie inside the image."""
    swapped = {"xyxy": "yxyx", "xywh": "yxhw"}
    forms = {true.form, declared.form}
    alike = true.unit == declared.unit != "pixel" and any(
        forms == {a, b} for a, b in swapped.items()
    )
    return not alike and not (true.unit == "percent" and declared.unit == "pixel")


@pytest.mark.parametrize("true", EVERY, ids=str)
def test_coordinates_in_another_space_are_refused_and_their_own_is_named(true: Space) -> None:
    units, sizes = random_boxes(2)
    numbers = Coordinates(boxes_from_units(units, sizes, true), sizes, np.arange(len(units)))
    for declared in EVERY:
        if declared != true and _is_distinguishable(true, declared):
            message = error_text(numbers, declared)
            assert f"{str(declared)!r}" in message
            assert "set `space` to it" in message


def test_a_fraction_of_312_is_refused_with_the_space_that_fits() -> None:
    message = error_text(coordinates([[312, 40, 500, 80]]), SPACES["fraction"])
    assert message == (
        "boxes.json: 1 of 1 boxes do not fit the coordinate space "
        "'xyxy fraction': for example, [312, 40, 500, 80] on an image of 640 x 480 would be "
        "[312000, 40000, 500000, 80000] in thousandths of the image. Rows boxes.json#row-0. "
        "The coordinates would fit 'xyxy pixel' or 'xyxy thousandth' or 'xywh thousandth': set "
        "`space` to it."
    )


def test_corners_and_sizes_declared_as_two_corners_are_refused() -> None:
    units, sizes = random_boxes(3)
    coco = boxes_from_units(units, sizes, SPACES["coco"])
    message = error_text(
        Coordinates(coco, sizes, np.arange(len(coco))), Space(form="xyxy", unit="pixel")
    )
    assert "'xywh pixel'" in message.rpartition("Rows ")[2]
    wrong = np.flatnonzero((coco[:, 2:] + 10 * sizes / 1000 < coco[:, :2]).any(axis=1))
    assert f"Rows row-{wrong[0]}, " in message
    assert f" and {len(wrong) - 5} more. " in message


def test_an_error_of_large_images_does_not_speak_of_small_ones() -> None:
    random = np.random.default_rng(4)
    values = random.uniform(0, 100, (90, 2))
    sizes = np.array([[1200, 900]] * 80 + [[110, 110]] * 10)
    points = Coordinates(values, sizes, np.arange(90))
    message = error_text(points, Space(form="xyxy", unit="pixel"))
    assert "all 80 points on large images (shorter side 400 or more) are in the upper" in message


def test_percents_declared_as_pixels_are_refused_though_all_are_inside() -> None:
    random = np.random.default_rng(4)
    points = coordinates(random.uniform(0, 100, (80, 2)), 1200, 900)
    message = error_text(points, Space(form="xyxy", unit="pixel"))
    assert "all 80 points are in the upper left corner of their images" in message
    assert "'xyxy percent'" in message
    check_space(
        coordinates(points.values[:40], 1200, 900),
        Space(form="xyxy", unit="pixel"),
        "f",
        ["x"] * 40,
    )


def test_a_space_that_leaves_most_of_the_images_empty_is_not_proposed() -> None:
    random = np.random.default_rng(6)
    percents = coordinates(random.uniform(0, 100, (80, 2)), 1200, 900)
    message = error_text(percents, Space(form="xyxy", unit="fraction")).rpartition("Rows")[2]
    assert "'xyxy percent'" in message
    assert "pixel" not in message


def test_a_few_wrong_boxes_are_no_evidence_against_the_space() -> None:
    units, sizes = random_boxes(5)
    values = boxes_from_units(units, sizes, SPACES["coco"])
    values[:20] *= 40
    check_space(Coordinates(values, sizes, np.arange(200)), SPACES["coco"], "f", ["x"] * 200)


def test_coordinates_that_fit_no_space_are_refused_without_a_proposal() -> None:
    message = error_text(coordinates([[1e7, 2e7, 3e7, 4e7]] * 5), SPACES["coco"])
    assert message.endswith(
        "They fit no known space. Correct the annotations, or set `trust: true`, which quarantines "
        "only coordinates that are far outside their image or in reverse order."
    )


def test_infinite_inverted_and_far_boxes_are_impossible() -> None:
    boxes = np.array([
        [0, 0, 1000, 1000], [-900, 0, 1900, 10], [-1100, 0, 10, 10], [0, 0, 2100, 10],
        [np.nan, 0, 1, 1], [0, 0, np.inf, 1], [500, 0, 495, 10], [500, 0, 480, 10],
    ], np.float64)  # fmt: skip
    assert is_impossible(boxes).tolist() == [False, False, True, True, True, True, False, True]
    assert is_impossible(np.array([[500.0, 500.0], [3000.0, 0.0]])).tolist() == [False, True]
    assert is_impossible(np.empty((0, 4))).tolist() == []
