"""Rendered answers are parsed to the same numbers and labels, in every style, at any size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.compose.grounding.parsing import ParsedObject, objects_to_units, parse_objects
from curate.compose.grounding.rendering import (
    AnswerObject,
    render_answer,
    to_resized_pixels,
    to_rounded_cuboids,
    to_thousandths,
)
from manifests.errors import RowError
from manifests.geometry.angles import QWEN3_ANGLES, RECORD_ANGLES, Angles, boxes_to_record
from manifests.geometry.smart_resize import QWEN2_5_RESIZE, smart_resize
from manifests.geometry.space import SPACES

HARD = ('"', "'", "\\", "a\nb", "```", "[{", "<box>", "{'", "猫 ", "</points>", "bbox_2d", "&amp;")
LABELS = st.one_of(st.sampled_from(HARD), st.text(max_size=12))
UNIT = st.floats(0, 1000, width=32)
SIDES = st.integers(1, 5000)
AROUND = st.sampled_from([("", ""), ("Here they are (2 [see below]):\n", "\n\nThat is {all}.")])


def boxes_of(drawn: list[tuple[float, ...]]) -> np.ndarray:
    return np.array(drawn, np.float32).astype(np.float64).reshape(-1, 4)


def shown(labels: list[str | None], numbers: np.ndarray) -> list[AnswerObject]:
    return [AnswerObject(label, row) for label, row in zip(labels, numbers.tolist(), strict=True)]


@given(st.lists(st.tuples(LABELS, UNIT, UNIT, UNIT, UNIT), max_size=5), AROUND)
def test_boxes_of_thousandths_are_the_same_after_json(
    drawn: list[tuple[str, float, float, float, float]], around: tuple[str, str]
) -> None:
    labels, rounded = (
        [one[0] for one in drawn],
        to_thousandths(boxes_of([one[1:] for one in drawn])),
    )
    text = render_answer("qwen3", "boxes", shown(list(labels), rounded))
    wanted = [
        ParsedObject(label, tuple(b)) for label, b in zip(labels, rounded.tolist(), strict=True)
    ]
    assert parse_objects(text.join(around)) == wanted
    assert parse_objects(text.removeprefix("```json").removesuffix("```")) == wanted
    assert objects_to_units(wanted, SPACES["qwen3"]) == wanted


@given(
    st.lists(st.tuples(LABELS, UNIT, UNIT, UNIT, UNIT), min_size=1, max_size=5),
    st.tuples(SIDES, SIDES).filter(lambda s: max(s) <= 200 * min(s)),
)
def test_pixels_after_resizing_are_the_same_once_read_and_written_again(
    drawn: list[tuple[str, float, float, float, float]], size: tuple[int, int]
) -> None:
    units = boxes_of([one[1:] for one in drawn])
    sizes = np.tile(np.array([size]), (len(units), 1))
    rounded = to_resized_pixels(units, sizes)
    assert (rounded >= 0).all()
    assert (rounded < np.tile(smart_resize(sizes, QWEN2_5_RESIZE), 2)).all()
    text = render_answer("qwen2.5", "boxes", shown([one[0] for one in drawn], rounded))
    read = objects_to_units(parse_objects(text), SPACES["qwen2.5"], size)
    again = np.array([one.box for one in read])
    assert to_resized_pixels(again, sizes).tolist() == rounded.tolist()
    half = 500 / smart_resize(sizes, QWEN2_5_RESIZE)
    inner = np.tile(1000 - 2 * half, 2)  # the last pixel stands for all beyond it
    close = np.abs(again - units) <= np.tile(half, 2) + 1e-3
    assert (close | (units > inner)).all()


@given(st.lists(st.tuples(LABELS, UNIT, UNIT), min_size=1, max_size=5))
def test_points_are_the_same_after_json(drawn: list[tuple[str, float, float]]) -> None:
    rounded = to_thousandths(np.array([one[1:] for one in drawn], np.float32).astype(np.float64))
    text = render_answer("qwen3", "points", shown([one[0] for one in drawn], rounded))
    wanted = [
        ParsedObject(one[0], point=tuple(p)) for one, p in zip(drawn, rounded.tolist(), strict=True)
    ]
    assert parse_objects(text) == wanted


XML_LABELS = st.one_of(
    st.sampled_from(HARD),
    st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"]), min_size=1, max_size=9),
)


@given(st.lists(st.tuples(XML_LABELS, st.integers(0, 999), st.integers(0, 999)), max_size=6))
def test_points_are_the_same_after_xml_label_by_label(drawn: list[tuple[str, int, int]]) -> None:
    text = render_answer("xml", "points", [AnswerObject(label, (x, y)) for label, x, y in drawn])
    order = list(dict.fromkeys(one[0] for one in drawn))
    grouped = sorted(drawn, key=lambda one: order.index(one[0]))
    assert parse_objects(text) == [ParsedObject(label, point=(x, y)) for label, x, y in grouped]


TAG_LABELS = LABELS.filter(lambda label: "<" not in label)


@given(st.lists(st.tuples(TAG_LABELS, UNIT, UNIT, UNIT, UNIT), max_size=5))
def test_boxes_are_the_same_after_tags(
    drawn: list[tuple[str, float, float, float, float]],
) -> None:
    rounded = to_thousandths(boxes_of([one[1:] for one in drawn]), 999)
    text = render_answer("tags", "boxes", shown([one[0] for one in drawn], rounded))
    assert parse_objects(text) == [
        ParsedObject(one[0], tuple(box)) for one, box in zip(drawn, rounded.tolist(), strict=True)
    ]


@given(
    st.lists(st.floats(-99, 99, width=32), min_size=9, max_size=9),
    st.sampled_from([RECORD_ANGLES, QWEN3_ANGLES, Angles(axes="yxz", unit="degree")]),
)
def test_cuboids_are_the_same_after_json(numbers: list[float], angles: Angles) -> None:
    written = to_rounded_cuboids(np.array([numbers]), angles)
    [read] = parse_objects(render_answer("qwen3", "boxes_3d", [AnswerObject("car", written[0])]))
    assert read == ParsedObject("car", box3d=tuple(written[0]))
    back = boxes_to_record(np.array([read.box3d]), angles)
    assert to_rounded_cuboids(back, angles) == written
    half = np.repeat([0.005, 0.005 * {"half_turn": np.pi}.get(angles.unit, 1)], [6, 3])
    assert (np.abs(back[0] - numbers) <= half + 1e-5).all()


@given(st.integers(1, 3), st.data())
def test_json_that_is_cut_anywhere_never_gives_fewer_objects(
    count: int, data: st.DataObject
) -> None:
    text = render_answer(
        "qwen3", "boxes", [AnswerObject("a [dog]", (1, 2, 3, n)) for n in range(count)]
    )
    cut = text[: data.draw(st.integers(text.index("bbox_2d") + 7, len(text)))]
    if len(cut) > text.rindex("]"):
        assert len(parse_objects(cut)) == count
    else:
        with pytest.raises(RowError):
            parse_objects(cut)


def test_a_label_that_xml_or_tags_cannot_hold_is_refused() -> None:
    with pytest.raises(RowError, match=r"contains a tag .* set another `style`"):
        render_answer("tags", "boxes", [AnswerObject("a<box>", (1, 2, 3, 4))])
    with pytest.raises(RowError, match=r"XML does not allow\. .* set another `style`"):
        render_answer("xml", "points", [AnswerObject("a\x00", (1, 2))])
