"""Objects become questions and complete answers, the same in every run."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from curate.compose.grounding import templates
from curate.compose.grounding.grounding_text import GroundingText
from curate.compose.grounding.parsing import ParsedObject, parse_objects
from curate.compose.grounding.rendering import STYLE_GEOMETRIES
from curate.compose.grounding.templates import EVERY_OBJECT, STYLE_FORMS, TEMPLATES, Template
from manifests import record
from tests.compose.grounding.texts import (
    IMAGE,
    an_object,
    batch,
    questions_and_answers,
    turns,
    turns_of,
    with_box,
)
from tests.filters.rows import answers
from tests.make import make_image
from tests.runs import run_recipe

OWN = GroundingText(templates=("Find {labels}.",))
DOG, LOW_CAT = with_box("dog", 10.5, 20.4, 500, 600), with_box("cat", 0, 700, 1000, 1000)
HIGH_CAT = with_box("cat", 30, 10, 40, 40)


def own(**settings: Any) -> GroundingText:
    place = "{expression}" if settings.get("by") == "expression" else "{labels}"
    return GroundingText(**{"templates": (f"Find {place}.",), **settings})


def test_one_question_names_all_labels_and_its_answer_has_all_objects_in_reading_order() -> None:
    [(asked, answer)] = turns_of(own(), DOG, LOW_CAT, HIGH_CAT)
    assert asked in ("Find dog, cat.", "Find cat, dog.")
    assert answer == (
        '```json\n[\n\t{"bbox_2d": [30, 10, 40, 40], "label": "cat"},\n'
        '\t{"bbox_2d": [10, 20, 500, 600], "label": "dog"},\n'
        '\t{"bbox_2d": [0, 700, 1000, 1000], "label": "cat"}\n]\n```'
    )


def test_objects_can_keep_the_order_of_annotation() -> None:
    [(_, answer)] = turns_of(own(order="given"), DOG, LOW_CAT, HIGH_CAT)
    assert [one.label for one in parse_objects(answer)] == ["dog", "cat", "cat"]


def test_by_label_each_label_has_a_question_answered_with_all_its_objects() -> None:
    asked = dict(turns_of(own(by="label"), DOG, LOW_CAT, HIGH_CAT))
    assert {question: len(parse_objects(answer)) for question, answer in asked.items()} == {
        "Find dog.": 1,
        "Find cat.": 2,
    }


def test_by_expression_the_answer_has_the_label_or_else_the_expression() -> None:
    step = own(by="expression")
    objects = [
        with_box("dog", 1, 2, 3, 4, text="the left one"),
        with_box(None, 5, 6, 7, 8, text="a thing"),
        with_box("dog", 9, 9, 10, 10, text="the left one"),
    ]
    asked = dict(turns_of(step, *objects))
    assert {question: parse_objects(answer) for question, answer in asked.items()} == {
        "Find the left one.": [
            ParsedObject("dog", (1, 2, 3, 4)),
            ParsedObject("dog", (9, 9, 10, 10)),
        ],
        "Find a thing.": [ParsedObject("a thing", (5, 6, 7, 8))],
    }


def test_a_label_is_skipped_if_one_of_its_objects_has_no_box() -> None:
    table = batch([DOG, HIGH_CAT, an_object("cat", point=(1, 2)), with_box(None, 1, 2, 3, 4)])
    answered = answers(own(), table)
    [(asked, answer)] = questions_and_answers(answered["content"][0])
    assert (asked, len(parse_objects(answer))) == ("Find dog.", 1)
    assert [answered[name] for name in ("queries", "answered", "left_aside")] == [[1], [1], [3]]


def test_max_queries_omits_labels_with_all_their_objects() -> None:
    answered = answers(own(by="label", max_queries=1), batch([DOG, LOW_CAT, HIGH_CAT]))
    [(asked, answer)] = questions_and_answers(answered["content"][0])
    assert len(parse_objects(answer)) == {"Find dog.": 1, "Find cat.": 2}[asked]
    assert answered["answered"][0] + answered["left_aside"][0] == 3


def test_max_coordinate_is_1000_or_for_tags_999_by_default() -> None:
    def numbers(**settings: Any) -> tuple[float, ...] | None:
        [(_, answer)] = turns_of(own(**settings), LOW_CAT)
        return parse_objects(answer)[0].box

    assert numbers() == (0, 700, 1000, 1000)
    assert numbers(max_coordinate=999) == (0, 700, 999, 999)
    assert numbers(style="tags") == (0, 700, 999, 999)
    assert numbers(style="tags", max_coordinate=1000) == (0, 700, 1000, 1000)


def test_pixels_refer_to_the_image_as_shown() -> None:
    sideways = {**IMAGE, "width": 428, "height": 640, "orientation": 6}
    box = [1000 * 146 / 640, 1000 * 137 / 428, 1000 * 615 / 640, 1000 * 415 / 428]
    for one in (IMAGE, sideways):
        [(_, answer)] = turns_of(own(style="qwen2.5"), with_box("cat", *box), media=[one])
        assert parse_objects(answer)[0].box == (147, 134, 619, 407)


def test_pixels_of_an_image_of_unknown_or_impossible_size_are_an_error() -> None:
    for change, answer in (
        ({"width": None}, "an image of unknown size"),
        ({"width": 9000, "height": 10}, "an image too elongated for smart_resize"),
    ):
        table = batch([DOG], media=[{**IMAGE, **change}])
        answered = answers(own(style="qwen2.5"), table)
        assert (answered["drop"], answered["error"]) == ([None], [answer])
        assert answered["content"] == table["content"].to_pylist()
        assert answers(own(), table)["error"] == [None]


def test_points_and_cuboids_are_rendered_in_their_styles() -> None:
    point = an_object("cat", point=(10.5, 999.6))
    [(_, answer)] = turns_of(own(what="points"), point)
    assert parse_objects(answer) == [ParsedObject("cat", point=(10, 1000))]
    [(_, answer)] = turns_of(own(what="points", style="xml"), point)
    assert parse_objects(answer) == [ParsedObject("cat", point=(7, 419))]
    near, far = (
        an_object(name, box3d=[0, 0, z, 1, 2, 3, 0, 0, 0]) for name, z in (("a", 2), ("b", 9))
    )
    [(_, answer)] = turns_of(own(what="boxes_3d"), far, near)
    assert [one.label for one in parse_objects(answer)] == ["a", "b"]


@pytest.mark.parametrize(
    ("objects", "settings", "reason"),
    [
        ([], {}, "no objects"),
        ([an_object("a", point=(1, 2))], {}, "no boxes"),
        ([an_object("a", point=(1, 2))], {"empty": "keep"}, "no boxes"),
        ([with_box(None, 1, 2, 3, 4)], {}, "no label"),
        ([with_box("a", 1, 2, 3, float("inf"))], {}, "no boxes"),
        ([with_box(" ", 1, 2, 3, 4)], {}, "no label"),
        ([with_box("a", 1, 2, 3, 4)], {"by": "expression"}, "no expression"),
        ([with_box("a", 1, 2, 3, 4)], {"what": "boxes_3d"}, "no 3D boxes"),
        ([with_box("a", 1, 2, 3, 4, media=1)], {}, "not about one image"),
    ],
)
def test_a_record_without_a_question_is_dropped_with_a_reason_and_keeps_its_text(
    objects: list[Any], settings: dict[str, Any], reason: str
) -> None:
    table = batch(objects)
    answered = answers(own(**settings), table)
    assert (answered["drop"], answered["error"]) == ([reason], [None])
    assert (answered["no_question"], answered["queries"]) == ([reason], [0])
    assert answered["content"] == table["content"].to_pylist()


def test_a_record_without_one_common_image_is_dropped() -> None:
    assert answers(own(), batch([DOG], media=[]))["drop"] == ["no image"]
    video = {**IMAGE, "kind": "video"}
    assert answers(own(), batch([DOG], media=[video]))["drop"] == ["no image"]
    two = {"media": [IMAGE, IMAGE]}
    assert answers(own(), batch([DOG, with_box("a", 1, 2, 3, 4, media=1)], **two))["drop"] == [
        "not about one image"
    ]
    assert answers(own(), batch([with_box("a", 1, 2, 3, 4, media=None)], **two))["drop"] == [
        "not about one image"
    ]
    assert answers(own(), batch([with_box("a", 1, 2, 3, 4, media=None)]))["drop"] == [None]
    second = with_box("a", 1, 2, 3, 4, media=1)
    answered = answers(own(), batch([second], **two))
    assert answered["drop"] == [None]
    assert answered["content"][0][0]["media"] == 1
    assert answers(own(), batch())["drop"] == []


def test_a_record_without_objects_can_be_kept_with_an_empty_answer() -> None:
    texts = [template.text for template in EVERY_OBJECT["boxes"]]
    [(asked, answer)] = turns_of(own(empty="keep"))
    assert (asked in texts, answer) == (True, "```json\n[]\n```")
    [(_, answer)] = turns_of(own(empty="keep", style="tags"))
    assert answer == "There are none in the image."


def test_a_label_that_a_style_cannot_hold_quarantines_only_its_record() -> None:
    answered = answers(own(style="tags"), batch([with_box("a<box>", 1, 2, 3, 4)], [DOG]))
    assert answered["error"][1] is None
    assert "contains a tag" in answered["error"][0]
    assert answered["queries"] == [None, 1]
    assert answered["no_question"] == [None, None]


def test_the_old_text_is_kept_unless_an_older_one_is_kept_already() -> None:
    caption = [{"kind": "image", "media": 0}, {"kind": "text", "text": "A dog.", "loss": True}]
    answered = answers(own(), batch([DOG], content=caption))
    assert answered["raw_text"] == ["A dog."]
    assert [text for _, text in questions_and_answers(answered["content"][0])] != ["A dog."]
    assert answers(own(), batch([DOG], content=caption, raw_text="x"))["raw_text"] == ["x"]
    assert answers(own(), batch([DOG]))["raw_text"] == [None]
    assert answers(own(), batch([], content=caption))["raw_text"] == [None]


def test_turns_are_added_to_a_conversation_or_replace_it() -> None:
    talk = [
        {"kind": "image", "media": 0, "role": "user"},
        {"kind": "text", "text": "Hi", "role": "user", "loss": False},
        {"kind": "text", "text": "Hello", "role": "assistant", "loss": True},
    ]
    [[(asked, _)]] = turns(own(), batch([DOG], content=talk))
    assert asked == "Find dog."
    orders: Counter[tuple[str, ...]] = Counter()
    for seed in range(40):
        step = own(turns="add", by="label")
        both = turns(step, batch([DOG, HIGH_CAT], content=talk), seed)[0]
        assert ("Hi", "Hello") in both
        orders[tuple(question for question, _ in both)] += 1
    assert len(orders) == 6


def test_questions_come_after_all_images_and_split_no_message() -> None:
    late = [
        {"kind": "text", "text": "Look:", "role": "user"},
        {"kind": "image", "media": 0, "role": "user"},
        {"kind": "text", "text": "What?", "role": "user"},
        {"kind": "text", "text": "A dog.", "role": "assistant", "loss": True},
    ]
    for seed in range(9):
        answered = answers(own(turns="add"), batch([DOG], content=late), seed=seed)
        texts = [one["text"] for one in answered["content"][0]]
        assert texts[:4] == ["Look:", None, "What?", "A dog."]
        assert texts[4] == "Find dog."


def test_the_choice_of_templates_depends_only_on_seed_and_id() -> None:
    step = GroundingText(by="label")
    table = batch(*[[DOG, HIGH_CAT]] * 40)
    whole = turns(step, table)
    assert turns(step, table.take(list(range(39, -1, -1)))) == whole[::-1]
    assert [turns(step, table.slice(n, 1))[0] for n in range(40)] == whole
    assert turns(step, table, seed=1) != whole
    asked = Counter(
        re.sub(r"\bdog\b|\bcat\b", "X", question) for one in whole for question, _ in one
    )
    wanted = TEMPLATES["json", "boxes", "labels"]
    assert set(asked) == {template.fill("X") for template in wanted}
    assert min(asked.values()) >= 5


@pytest.mark.parametrize("style", list(STYLE_GEOMETRIES))
@pytest.mark.parametrize("by", ["category", "label", "expression"])
def test_every_style_has_templates_for_all_its_geometries(style: str, by: str) -> None:
    numbers = {"box": (1, 2, 3, 4), "point": (5, 6), "box3d": [1.0] * 9}
    for what in STYLE_GEOMETRIES[style]:
        step = GroundingText(style=style, what=what, by=by)
        [(asked, answer)] = turns_of(step, an_object("猫", text="猫", **numbers))
        assert "猫" in asked
        assert "{" not in asked.replace(templates.FORMAT_3D, "")
        assert len(parse_objects(answer)) == 1
        own_words = TEMPLATES[STYLE_FORMS[step.style], what, step._placeholder]
        templates.check_templates([one.text for one in own_words], step._placeholder)


def test_published_templates_are_marked_and_name_the_label_once() -> None:
    published = [t for some in TEMPLATES.values() for t in some if t.published]
    assert [one.text.partition(":")[0].partition('"')[0].strip() for one in published[:2]] == [
        "Locate every instance that belongs to the following categories",
        "Locate every object that matches the description",
    ]
    assert Template("{labels} {expression}").fill("{labels}") == "{labels} {labels}"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"style": "tags", "what": "points"}, "the style 'tags' supports boxes, but not points"),
        ({"style": "qwen2.5", "what": "boxes_3d"}, "not boxes_3d"),
        ({"templates": ["Find it."]}, "has no placeholder; it must have {labels}"),
        ({"templates": ["Find {label}."]}, "has {label}; it must have {labels}"),
        ({"templates": ["<image>{labels}"]}, "media tag"),
        ({"templates": ["{labels}"], "by": "expression"}, "it must have {expression}"),
        ({"templates": []}, "the list is empty"),
        ({"max_coordinate": 998}, "999"),
    ],
)
def test_invalid_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(message)):
        GroundingText(**settings)


def test_a_run_writes_the_conversations_and_reads_them_back(tmp_path: Path) -> None:
    """From Qwen's fine-tuning files to Qwen's fine-tuning files: the same boxes."""
    (tmp_path / "a.jpg").write_bytes(make_image(640, 428))
    answer = '```json\n[\n\t{"bbox_2d": [228, 320, 961, 970], "label": "cat"}\n]\n```'
    turns = [{"from": "human", "value": "<image>\nAll?"}, {"from": "gpt", "value": answer}]
    (tmp_path / "a.json").write_text(json.dumps([{"image": "a.jpg", "conversations": turns}]))
    source = {"name": "own", "reader": "qwen_grounding", "path": "a.json"}
    made = run_recipe(
        tmp_path, source, steps=[{"grounding_text": {"templates": ["Find {labels}."]}}]
    )
    assert made.accounts["grounding_text"] == (1, 1, {}, {})
    [row] = made.rows
    texts = [item["text"] for m in row["messages"] for item in m["content"]]
    assert texts == [None, "Find cat.", answer]
    assert [one["box"] for one in row["objects"]] == [[228, 320, 961, 970]]
    assert row["id"] == record.record_id("own", "a.json#0")


def test_a_label_of_which_not_all_objects_are_annotated_is_not_asked_for() -> None:
    partial = with_box("cat", 1, 2, 3, 4, attributes='{"curate.partial": true}')
    cats, dog = [partial, with_box("cat", 5, 2, 6, 4)], with_box("dog", 1, 2, 3, 4)
    table = batch([*cats, dog], cats, [], meta='{"curate.absent": []}')
    for by in ("category", "label"):
        found = answers(GroundingText(by=by, templates=["{labels}?"], empty="keep"), table)
        assert found["drop"] == [None, "incomplete record", "incomplete record"]
        assert [asked for asked, _ in questions_and_answers(found["content"][0])] == ["dog?"]
    assert answers(GroundingText(), table)["drop"] == [None, "incomplete record", "no objects"]


def test_a_record_that_lost_an_annotation_gets_no_answer_with_all_objects() -> None:
    lost = batch([with_box("cat", 1, 2, 3, 4)], [], meta='{"curate.lost": {"annotations": 1}}')
    assert answers(GroundingText(empty="keep"), lost)["drop"] == ["incomplete record"] * 2
