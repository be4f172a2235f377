"""Every space converts to [0,1000] and back: published examples, and properties at any size."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from manifests.geometry.smart_resize import QWEN2_5_RESIZE
from manifests.geometry.space import (
    SPACES,
    Form,
    Index,
    Space,
    SpaceSetting,
    Unit,
    boxes_from_units,
    boxes_to_units,
    points_from_units,
    points_to_units,
)

EVERY = [Space(form=form, unit=unit) for form in get_args(Form) for unit in get_args(Unit)]
EVERY += [Space(form=f, unit="pixel", index=i) for f in get_args(Form) for i in get_args(Index)]
EVERY.append(Space(form="xyxy", unit="pixel", resized=QWEN2_5_RESIZE))


def units(box: list[float], width: int, height: int, space: Space | str) -> list[float]:
    known = SPACES[space] if isinstance(space, str) else space
    found: list[float] = boxes_to_units(np.array([box]), np.array([[width, height]]), known)[0]
    return [float(number) for number in found]


def test_the_published_vector() -> None:
    found = units([146, 137, 615, 415], 640, 428, Space(form="xyxy", unit="pixel"))
    assert [round(number) for number in found] == [228, 320, 961, 970]
    resized = boxes_from_units(np.array([found]), np.array([[640, 428]]), SPACES["qwen2.5"])
    assert np.rint(resized).tolist() == [[147, 134, 619, 407]]


SAME = [250.0, 200.0, 500.0, 600.0]


@pytest.mark.parametrize(("box", "space"), [
    ([200, 100, 400, 300], Space(form="xyxy", unit="pixel")),
    ([200, 100, 200, 200], "coco"),
    ([300, 200, 200, 200], Space(form="cxcywh", unit="pixel")),
    ([100, 200, 300, 400], Space(form="yxyx", unit="pixel")),
    ([100, 200, 200, 200], Space(form="yxhw", unit="pixel")),
    ([201, 101, 400, 300], "voc"),
    ([200, 100, 399, 299], Space(form="xyxy", unit="pixel", index="zero")),
    ([201, 101, 200, 200], Space(form="xywh", unit="pixel", index="one")),
    ([0.25, 0.2, 0.5, 0.6], "fraction"),
    ([0.375, 0.4, 0.25, 0.4], "yolo"),
    ([25, 20, 50, 60], "percent"),
    ([250, 200, 500, 600], "qwen3"),
    ([200, 250, 600, 500], "gemini"),
    ([0.2, 0.25, 0.4, 0.25], "aitw"),
])  # fmt: skip
def test_one_box_in_every_space(box: list[float], space: Space | str) -> None:
    assert units(box, 800, 500, space) == pytest.approx(SAME, abs=1e-9)


@pytest.mark.parametrize(("point", "space"), [
    ([200, 100], Space(form="xyxy", unit="pixel")),
    ([100, 200], Space(form="yxhw", unit="pixel")),
    ([199.5, 99.5], Space(form="xyxy", unit="pixel", index="zero")),
    ([200.5, 100.5], "voc"),
    ([25, 20], "percent"),
])  # fmt: skip
def test_one_point_in_every_space(point: list[float], space: Space | str) -> None:
    known = SPACES[space] if isinstance(space, str) else space
    found = points_to_units(np.array([point]), np.array([[800, 500]]), known)
    assert found[0].tolist() == pytest.approx([250, 200], abs=1e-9)


sides = st.integers(14, 20_000)
places = st.floats(0, 1000, width=32)


@st.composite
def images(draw: st.DrawFn) -> tuple[int, int]:
    """Sizes whose aspect is not refused."""
    width = draw(sides)
    height = draw(st.integers(max(1, -(-width // 200)), min(20_000, width * 200)))
    return width, height


@given(images(), st.tuples(places, places, places, places), st.sampled_from(EVERY))
def test_conversion_is_invertible_at_any_size(
    size: tuple[int, int], box: tuple[float, ...], space: Space
) -> None:
    given_, sizes = np.array([box]), np.array([size])
    there = boxes_from_units(given_, sizes, space)
    assert boxes_to_units(there, sizes, space) == pytest.approx(given_, abs=1e-6)
    point = points_from_units(given_[:, :2], sizes, space)
    assert points_to_units(point, sizes, space) == pytest.approx(given_[:, :2], abs=1e-6)


@given(images(), st.tuples(places, places, places, places))
def test_rounded_thousandths_are_within_half_a_unit(
    size: tuple[int, int], box: tuple[float, ...]
) -> None:
    sizes, space = np.array([size]), Space(form="xyxy", unit="pixel")
    pixels = boxes_from_units(np.array([box]), sizes, space)
    stored = boxes_to_units(pixels, sizes, space).astype(np.float32)
    back = boxes_from_units(np.rint(stored).astype(np.float64), sizes, space)
    half = np.tile(sizes / 2000, 2)
    assert (abs(back - pixels) <= half * (1 + 1e-3)).all()


@given(images(), st.tuples(places, places, places, places), st.integers(1, 8))
def test_a_resized_image_has_the_same_thousandths(
    size: tuple[int, int], box: tuple[float, ...], times: int
) -> None:
    sizes, space = np.array([size]), Space(form="xyxy", unit="pixel")
    pixels = boxes_from_units(np.array([box]), sizes, space)
    assert boxes_to_units(pixels * times, sizes * times, space) == pytest.approx(
        np.array([box]), abs=1e-6
    )


@given(images(), st.tuples(places, places, places, places))
def test_mirroring_pixels_mirrors_thousandths(
    size: tuple[int, int], box: tuple[float, ...]
) -> None:
    sizes, space = np.array([size]), Space(form="xyxy", unit="pixel")
    x1, y1, x2, y2 = boxes_from_units(np.array([box]), sizes, space)[0]
    flipped = np.array([[size[0] - x2, y1, size[0] - x1, y2]])
    expected = [1000 - box[2], box[1], 1000 - box[0], box[3]]
    assert boxes_to_units(flipped, sizes, space)[0] == pytest.approx(expected, abs=1e-6)


class Setting(BaseModel):
    space: SpaceSetting


@pytest.mark.parametrize(("text", "space"), [
    ("coco", SPACES["coco"]),
    ("xywh pixel", SPACES["coco"]),
    ("pixel xyxy one", SPACES["voc"]),
    ("xyxy pixel stored", Space(form="xyxy", unit="pixel", exif="stored")),
    ({"form": "xyxy", "unit": "percent"}, SPACES["percent"]),
])  # fmt: skip
def test_a_space_can_be_given_in_words_or_in_full(text: object, space: Space) -> None:
    assert Setting.model_validate({"space": text}).space == space
    assert Setting.model_validate({"space": space.model_dump(mode="json")}).space == space


@pytest.mark.parametrize(("text", "fault"), [
    ("xywhh pixel", "the word 'xywhh' is unknown. Did you mean 'xywh'?"),
    ("xyxy xywh pixel", "'xyxy' and 'xywh' both state the form. Remove one of them"),
    ("coco pixel", "'coco' is the name of a whole space. Write it alone"),
    ("xyxy", "unit"),
    ("xyxy fraction one", "only for coordinates in pixels, but the unit is fraction"),
])  # fmt: skip
def test_words_that_are_not_a_space_are_refused(text: str, fault: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Setting.model_validate({"space": text})
    assert fault in str(caught.value)


def test_an_empty_batch_stays_empty() -> None:
    for space in EVERY:
        assert boxes_to_units(np.empty((0, 4)), np.empty((0, 2)), space).shape == (0, 4)
        assert points_to_units(np.empty((0, 2)), np.empty((0, 2)), space).shape == (0, 2)


def test_the_json_schema_allows_a_space_in_words() -> None:
    kinds = Setting.model_json_schema()["properties"]["space"]["anyOf"]
    assert {"type": "string"} in kinds


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_numbers_at_the_limit_of_float64_give_infinite_coordinates_without_a_warning(
    name: str,
) -> None:
    large = np.full((1, 4), np.finfo(np.float64).max)
    assert not np.isnan(boxes_to_units(large, np.array([[640, 480]]), SPACES[name])).any()
