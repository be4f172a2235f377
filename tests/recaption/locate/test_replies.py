"""What a reply with boxes or points may be, and the fault of each that is not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from manifests.step import Reply
from recaption.json_replies import fault_by
from recaption.locate.replies import Located, Wanted, objects_of

CAT = {"bbox_2d": [1, 2, 30, 40], "label": "cat"}
BOXES = Wanted("boxes", ("cat", "traffic light"), (1000.0, 1000.0))
POINTS = Wanted("points", ("cat",), (1000.0, 1000.0))
PIXELS = Wanted("boxes", ("cat",), (640.0, 480.0))


def parsed(text: Any, wanted: Wanted = BOXES, **reply: Any) -> list[Located] | str:
    written = text if isinstance(text, str) else json.dumps(text)
    made = Reply(written, **{"finish": "stop", "model": "m", **reply})
    return fault_by(lambda text: objects_of(text, wanted), made) or objects_of(written, wanted)


@pytest.mark.parametrize("text", [
    '[{"bbox_2d": [1, 2, 30, 40], "label": "cat"}]',
    '```json\n[{"bbox_2d": [1, 2, 30, 40], "label": "cat"}]\n```',
    '```\n[{"bbox_2d": [1.0, 2, 3e1, 40], "label": " CAT", "name_zh": "猫", "x": 3}]\n```\n',
])  # fmt: skip
def test_the_published_form_is_read_alone_or_in_a_fence(text: str) -> None:
    assert parsed(text) == [Located("cat", (1.0, 2.0, 30.0, 40.0))]


def test_labels_are_compared_without_case_spaces_and_forms_of_unicode() -> None:
    asked = BOXES._replace(names=("Traffic  Light", "caf\u00e9"))
    items = [{**CAT, "label": "traffic light"}, {**CAT, "label": "CAFE\u0301"}]
    found = parsed(items, asked)
    assert not isinstance(found, str)
    assert [one.name for one in found] == ["Traffic  Light", "caf\u00e9"]


def test_an_empty_list_means_that_nothing_is_there() -> None:
    assert parsed([]) == []
    assert parsed("```json\n[]\n```") == []


def test_a_description_has_any_label_or_none() -> None:
    described = BOXES._replace(names=())
    items = [{"bbox_2d": [1, 2, 3, 4]}, {"bbox_2d": [1, 2, 3, 5], "label": "the red car"}]
    assert parsed(items, described) == [
        Located(None, (1, 2, 3, 4)),
        Located(None, (1, 2, 3, 5)),
    ]


def test_the_whole_range_of_a_space_is_accepted() -> None:
    assert parsed([{**CAT, "bbox_2d": [0, 0, 1000, 1000]}]) == [Located("cat", (0, 0, 1000, 1000))]
    whole = [{**CAT, "bbox_2d": [0, 0, 640, 480]}]
    assert parsed(whole, PIXELS) == [Located("cat", (0, 0, 640, 480))]
    assert parsed([{"point_2d": [1000, 0], "label": "cat"}], POINTS) == [Located("cat", (1000, 0))]


def box(*numbers: Any) -> list[dict[str, Any]]:
    return [CAT, {"bbox_2d": list(numbers), "label": "cat"}]


@pytest.mark.parametrize(("text", "fault"), [
    ("", "empty"),
    (" \n ", "empty"),
    ("I see a cat at [1, 2, 3, 4].", "not JSON"),
    ("[{'bbox_2d': [1, 2, 3, 4], 'label': 'cat'}]", "not JSON"),
    ('[{"bbox_2d": [1, 2, 3, 4], "label": "cat"}', "not JSON"),
    ('[{"bbox_2d": [1, 2, 3, 4], "label": "cat"},]', "not JSON"),
    ('```json\n[]', "not JSON"),
    ('Here it is:\n```json\n[]\n```', "not JSON"),
    ('[{"bbox_2d": [1, 2, 3, 4], "label": "ca\\ud800"}]', "not JSON"),
    ("[" * 5000 + "]" * 5000, "not JSON"),
    (CAT, "not a list"),
    ("null", "not a list"),
    ([[1, 2, 3, 4]], "not an object"),
    ([CAT, "cat"], "not an object"),
    ([{"label": "cat"}], "no coordinates"),
    ([{"bbox": [1, 2, 3, 4], "label": "cat"}], "no coordinates"),
    ([{"point_2d": [1, 2], "label": "cat"}], "no coordinates"),
    (box(1, 2, 3), "no coordinates"),
    (box(1, 2, 3, 4, 5), "no coordinates"),
    (box("1", "2", "3", "4"), "no coordinates"),
    (box(1, 2, 3, True), "no coordinates"),
    (box(1, 2, 3, None), "no coordinates"),
    (box(1, 2, 3, [4]), "no coordinates"),
    (box(1, 2, 3, float("nan")), "no coordinates"),
    (box(1, 2, 3, float("inf")), "no coordinates"),
    ('[{"bbox_2d": [1, 2, 3, 1e999], "label": "cat"}]', "no coordinates"),
    ([{"bbox_2d": [1, 2, 3, 4]}], "unknown label"),
    ([{"bbox_2d": [1, 2, 3, 4], "label": None}], "unknown label"),
    ([{"bbox_2d": [1, 2, 3, 4], "label": ["cat"]}], "unknown label"),
    ([{"bbox_2d": [1, 2, 3, 4], "label": "cats"}], "unknown label"),
    (box(-1, 2, 3, 4), "outside the image"),
    (box(1, 2, 3, 1000.5), "outside the image"),
    (box(1, 2, 3, 10**12), "outside the image"),
    (box(30, 2, 3, 4), "inverted box"),
    (box(1, 20, 3, 4), "inverted box"),
    (box(1, 2, 1, 4), "inverted box"),
    ([CAT] * 5, "repetition"),
    ([CAT] * 500, "repetition"),
])  # fmt: skip
def test_a_bad_item_is_the_fault_of_the_whole_reply(text: Any, fault: str) -> None:
    assert parsed(text) == fault


@pytest.mark.parametrize(("numbers", "fault"), [
    ((0, 0, 640.5, 10), "outside the image"),
    ((0, 0, 10, 481), "outside the image"),
    ((0, -0.5, 10, 10), "outside the image"),
    ((640, 0, 640, 10), "inverted box"),
])  # fmt: skip
def test_pixels_beyond_the_image_are_a_fault(numbers: tuple[float, ...], fault: str) -> None:
    assert parsed(box(*numbers), PIXELS) == fault


def test_a_reply_that_is_no_answer_has_the_fault_of_every_reply() -> None:
    assert parsed([CAT], finish="length") == "cut off"
    assert parsed([CAT], finish="content_filter") == "content filter"
    assert parsed("", refusal="no") == "refusal"
    assert parsed("I'm sorry, but I can't help with that.") == "refusal"


def test_many_boxes_of_one_label_are_no_repetition() -> None:
    items = [{"bbox_2d": [n, n, n + 9, n + 9], "label": "cat"} for n in range(300)]
    assert len(parsed(items)) == 300
    assert len(parsed([CAT] * 4)) == 4
