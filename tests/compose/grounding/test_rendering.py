"""The exact text for given objects, and the published examples."""

from __future__ import annotations

import json

import numpy as np
import pytest

from curate.compose.grounding.parsing import ParsedObject, objects_to_units, parse_objects
from curate.compose.grounding.rendering import (
    EMPTY_ANSWER,
    AnswerObject,
    render_answer,
    to_resized_pixels,
    to_rounded_cuboids,
    to_thousandths,
)
from manifests.errors import RowError
from manifests.geometry.angles import RECORD_ANGLES, Angles
from manifests.geometry.space import SPACES, Space, boxes_to_units

DOG, CAT = AnswerObject("dog", (1, 2, 3, 4)), AnswerObject("cat", (5, 6, 7, 8))
SIZE = np.array([[640.0, 428.0]])
PIXEL = Space(form="xyxy", unit="pixel")
VECTOR = boxes_to_units(np.array([[146, 137, 615, 415]]), SIZE, PIXEL)


def test_the_published_box_is_rendered_as_published() -> None:
    assert to_thousandths(VECTOR).tolist() == [[228, 320, 961, 970]]
    assert to_resized_pixels(VECTOR, SIZE).tolist() == [[147, 134, 619, 407]]


def test_rounding_is_half_to_even_and_clipped_to_the_range() -> None:
    units = np.array([[0.5, 1.5, 2.5, 999.5], [-3, 1000.4, 1003, 998.5]])
    assert to_thousandths(units).tolist() == [[0, 2, 2, 1000], [0, 1000, 1000, 998]]
    assert to_thousandths(units, 999).tolist() == [[0, 2, 2, 999], [0, 999, 999, 998]]


def test_the_last_pixel_is_the_largest_coordinate() -> None:
    assert to_resized_pixels(np.array([[0.0, 0, 1000, 1000]]), SIZE).tolist() == [[0, 0, 643, 419]]


def test_json_is_laid_out_as_qwen_answers() -> None:
    assert render_answer("qwen3", "boxes", [DOG, CAT]) == (
        '```json\n[\n\t{"bbox_2d": [1, 2, 3, 4], "label": "dog"},\n'
        '\t{"bbox_2d": [5, 6, 7, 8], "label": "cat"}\n]\n```'
    )
    assert render_answer("qwen2.5", "points", [AnswerObject(None, (1, 2))]) == (
        '```json\n[\n\t{"point_2d": [1, 2]}\n]\n```'
    )
    assert render_answer("qwen3", "boxes", []) == "```json\n[]\n```"


@pytest.mark.parametrize("label", ['a "b"', "a\nb", "猫 é", "```", "\\", "\x7f\x01", "</a>"])
def test_json_of_any_label_is_valid_and_readable(label: str) -> None:
    text = render_answer("qwen3", "boxes", [AnswerObject(label, (1, 2, 3, 4))])
    inside = text.removeprefix("```json\n").removesuffix("\n```")
    assert json.loads(inside) == [{"bbox_2d": [1, 2, 3, 4], "label": label}]


def test_letters_of_any_script_are_not_escaped() -> None:
    assert '"猫 é"' in render_answer("qwen3", "boxes", [AnswerObject("猫 é", (1, 2, 3, 4))])


def test_tags_are_qwen_vls() -> None:
    assert render_answer("tags", "boxes", [DOG, AnswerObject(None, (5, 6, 7, 8))]) == (
        "<ref>dog</ref><box>(1,2),(3,4)</box><box>(5,6),(7,8)</box>"
    )
    assert render_answer("tags", "boxes", []) == render_answer("xml", "points", []) == EMPTY_ANSWER
    assert parse_objects(EMPTY_ANSWER) == []


def test_points_in_xml_are_grouped_by_label() -> None:
    objects = [AnswerObject("a", (1, 2)), AnswerObject('b "&"', (3, 4)), AnswerObject("a", (5, 6))]
    assert render_answer("xml", "points", objects) == (
        '<points x1="1" y1="2" x2="5" y2="6" alt="a">a</points>\n'
        '<points x1="3" y1="4" alt=\'b "&amp;"\'>b "&amp;"</points>'
    )


def test_cuboids_have_two_decimals_and_the_given_convention_of_angles() -> None:
    box = np.array([[1.005, -0.001, 2.675, 1, 2, 3, np.pi / 2, 0, -np.pi]], np.float32)
    assert to_rounded_cuboids(box, RECORD_ANGLES) == [
        [1.0, 0.0, 2.67, 1.0, 2.0, 3.0, 1.57, 0.0, -3.14]
    ]
    assert to_rounded_cuboids(box)[0][6:] == [0.5, 0.0, -1.0]
    assert to_rounded_cuboids(box, Angles(axes="yxz", unit="degree"))[0][6:] == [0.0, 90.0, -180.0]
    assert "-0.0" not in render_answer(
        "qwen3", "boxes_3d", [AnswerObject("car", to_rounded_cuboids(box)[0])]
    )


def test_a_tagged_label_is_for_all_boxes_up_to_the_next_text() -> None:
    text = (
        "<ref>Two apples</ref><box>(302,257),(582,671)</box><box>(603,252),(878,642)</box> and "
        "<ref>a bowl</ref><box>(2,269),(304,674)</box>, then <box>(1,1),(2,2)</box>"
    )
    assert parse_objects(text) == [
        ParsedObject("Two apples", (302, 257, 582, 671)),
        ParsedObject("Two apples", (603, 252, 878, 642)),
        ParsedObject("a bowl", (2, 269, 304, 674)),
        ParsedObject(None, (1, 1, 2, 2)),
    ]


def test_text_without_objects_is_skipped() -> None:
    for text in (
        "",
        "See [1] and {a}.",
        "[[1, 2], [3]]",
        '{"time": 3}',
        "[]",
        "<ref>a</ref>",
        "a <ref> of a wiki",
    ):
        assert parse_objects(text) == []


def test_overlong_numbers_and_deep_nesting_are_an_error() -> None:
    for text in (f"<box>({'9' * 5000},1),(2,3)</box>", f'{{"bbox_2d": [{"9" * 5000}, 1, 2, 3]}}'):
        with pytest.raises(RowError):
            parse_objects(text)
    with pytest.raises(RowError):
        parse_objects("[" * 100_000 + '"bbox_2d"')


def test_one_object_and_further_keys_are_read() -> None:
    assert parse_objects('{"point_2d": [1.5, 2], "label": "a", "role": "x", "n": [1]}') == [
        ParsedObject("a", point=(1.5, 2), others={"role": "x", "n": [1]})
    ]


def test_coordinates_outside_the_image_are_refused() -> None:
    for box in ((0, 0, 1016, 5), (-1, 0, 5, 5)):
        with pytest.raises(RowError, match="are outside the image"):
            objects_to_units([ParsedObject(box=box)], SPACES["qwen3"])
    [one] = objects_to_units(
        [ParsedObject(box=(147, 134, 619, 407))], SPACES["qwen2.5"], (640, 428)
    )
    assert one.box == pytest.approx(
        [1000 * 147 / 644, 1000 * 134 / 420, 1000 * 619 / 644, 1000 * 407 / 420]
    )
    with pytest.raises(RowError, match="are outside the image"):
        objects_to_units([ParsedObject(point=(645, 5))], SPACES["qwen2.5"], (640, 428))
