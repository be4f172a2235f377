"""Absent categories, and only those, are asked for in the right share of records."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from curate.compose.grounding.grounding_text import GroundingText
from curate.compose.grounding.negatives import Negatives
from curate.compose.grounding.parsing import parse_objects
from curate.compose.grounding.templates import ABSENT_ANSWERS
from manifests.errors import InputError
from manifests.media import Media
from manifests.record.objects import edit_objects
from tests.compose.grounding.texts import (
    IMAGE,
    an_object,
    batch,
    questions_and_answers,
    turns,
    with_box,
)
from tests.filters.rows import answers, measured

NAMES = ("dog", "cat", "fire hydrant", "traffic light")
DOG = with_box("dog", 1, 2, 3, 4)


def own(**changes: Any) -> Negatives:
    given = {"categories": NAMES, "share": 1, "templates": ("Find {labels}.",)}
    return Negatives(**{**given, **changes})


def absent(*objects: dict[str, Any], seed: int = 0, **changes: Any) -> list[str] | None:
    [found] = answers(own(per_query=9, **changes), batch(list(objects)), seed=seed)["absent"]
    return found


def every(*objects: dict[str, Any], **changes: Any) -> set[str]:
    """All categories that are asked for, over many seeds."""
    found = [absent(*objects, seed=seed, **changes) for seed in range(30)]
    return {name for some in found for name in some or ()}


@given(st.lists(st.sampled_from(NAMES), max_size=5), st.integers(1, 9), st.integers(0, 99))
def test_no_category_of_the_image_is_asked_for(
    labels: list[str], per_query: int, seed: int
) -> None:
    table = batch([with_box(label, 1, 2, 3, 4) for label in labels])
    answered = answers(own(per_query=per_query), table, seed=seed)
    asked = answered["absent"][0] or []
    assert not set(asked) & set(labels)
    assert len(asked) == len(set(asked)) <= per_query
    assert (asked == []) == (set(labels) == set(NAMES))
    if asked:
        assert questions_and_answers(answered["content"][0]) == [
            (f"Find {', '.join(asked)}.", "```json\n[]\n```")
        ]
    else:
        assert answered["content"] == table["content"].to_pylist()


@pytest.mark.parametrize(
    ("label", "there"),
    [
        ("Dogs", {"dog"}),
        ("hot dog", {"dog"}),
        ("light", {"traffic light"}),
        ("fire_hydrant", {"fire hydrant"}),
        ("Traffic-Lights", {"traffic light"}),
        ("doghouse", set()),
    ],
)
def test_a_category_that_shares_its_words_with_a_label_is_not_absent(
    label: str, there: set[str]
) -> None:
    assert every(with_box(label, 1, 2, 3, 4)) == set(NAMES) - there


@pytest.mark.parametrize(
    ("label", "category"),
    [("buses", "bus"), ("bus", "Buses"), ("dishes", "dish"), ("berries", "berry"), ("s", "s")],
)
def test_the_plural_is_the_same_category(label: str, category: str) -> None:
    assert every(with_box(label, 1, 2, 3, 4), categories=(category, "dog")) == {"dog"}


@pytest.mark.parametrize("label", [None, " ", "🐕"])
def test_a_record_with_an_unlabelled_object_gets_no_question(label: str | None) -> None:
    table = batch([DOG, an_object(label)])
    answered = answers(own(), table)
    assert answered["absent"] == [None]
    assert answered["content"] == table["content"].to_pylist()


def test_a_record_not_about_one_image_gets_no_question() -> None:
    assert answers(own(), batch([], media=[]))["absent"] == [None]
    assert answers(own(), batch([], media=[IMAGE, IMAGE]))["absent"] == [None]
    assert answers(own(), batch())["absent"] == []


def test_a_larger_share_asks_the_same_records_and_more() -> None:
    table = batch(*[[DOG]] * 2000)
    asked = {
        share: [one is not None for one in answers(own(share=share), table)["absent"]]
        for share in (0, 0.1, 0.3, 1)
    }
    assert sum(asked[0]) == 0
    assert 150 < sum(asked[0.1]) < 250
    assert sum(asked[1]) == 2000
    assert all(more or not some for some, more in zip(asked[0.1], asked[0.3], strict=True))


def test_the_answer_is_a_sentence_if_set_or_if_the_style_has_no_list() -> None:
    wanted = {template.fill("cat") for template in ABSENT_ANSWERS}
    only_cat = {"categories": ("cat",), "templates": None}
    found = set()
    for style, what in (("qwen3", "points"), ("tags", "boxes"), ("xml", "points")):
        for seed in range(20):
            step = own(style=style, what=what, answer="words", **only_cat)
            [[(asked, answer)]] = turns(step, batch([DOG]), seed)
            assert "cat" in asked
            found.add(answer)
            assert parse_objects(answer) == []
    assert found == wanted
    [[(_, answer)]] = turns(own(style="tags", **only_cat), batch([DOG]))
    assert answer in wanted


def test_grounding_text_can_add_to_the_conversation_with_negatives() -> None:
    """Objects may be removed in between: their labels are still not asked for as absent."""
    table = batch([DOG, with_box("cat", 5, 5, 6, 6)])
    columns, _ = measured(own(templates=("No {labels}?",)), table)
    for name in Negatives.rewrites:
        table = table.set_column(table.schema.get_field_index(name), name, columns[name])
    cats = edit_objects(table["objects"], np.array([True, False]))
    table = table.set_column(table.schema.get_field_index("objects"), "objects", cats)
    step = GroundingText(turns="add", templates=("Find {labels}.",))
    [both] = turns(step, table)
    asked = sorted(question for question, _ in both)
    assert asked[0] == "Find dog."
    assert asked[1] in ("No fire hydrant?", "No traffic light?")


def test_the_old_text_is_kept() -> None:
    caption = [{"kind": "image", "media": 0}, {"kind": "text", "text": "A dog.", "loss": True}]
    answered = answers(own(), batch([DOG], content=caption))
    assert answered["raw_text"] == ["A dog."]
    assert len(questions_and_answers(answered["content"][0])) == 1
    assert answers(own(share=0), batch([DOG], content=caption))["raw_text"] == [None]


@pytest.mark.parametrize("data", ["dog\n\n cat \n", '["dog", "cat"]', "\ufeffdog\r\ncat"])
def test_a_file_of_categories_is_part_of_the_identity_of_the_step(
    tmp_path: Path, data: str
) -> None:
    (tmp_path / "names.txt").write_text(data)
    step = own(categories="names.txt", per_query=9)
    assert step.files(str(tmp_path)) == (str(tmp_path / "names.txt"),)
    asked = answers(step, batch(*[[]] * 40), Media(str(tmp_path)))["absent"]
    assert {name for some in asked for name in some} == {"dog", "cat"}
    assert own().files(str(tmp_path)) == ()


@pytest.mark.parametrize("data", ["", "[]", "[1]", "[", "dog\n--\n"])
def test_a_file_without_categories_is_an_error(tmp_path: Path, data: str) -> None:
    (tmp_path / "names.txt").write_text(data)
    with pytest.raises(InputError, match="not a list of categories"):
        answers(own(categories="names.txt"), batch([DOG]), Media(str(tmp_path)))


def test_the_choice_depends_only_on_seed_and_id() -> None:
    table = batch(*[[DOG]] * 50)
    step = own(share=0.5)
    whole = answers(step, table)
    assert [answers(step, table.slice(n, 1))["content"][0] for n in range(50)] == whole["content"]
    assert answers(own(share=0.5), table, seed=1)["absent"] != whole["absent"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"categories": []}, "the list of categories is empty"),
        ({"categories": ["dog", "--"]}, "'--' has no letter or digit"),
        ({"style": "tags", "what": "points"}, "not points"),
        ({"templates": ["{expression}"]}, "it must have {labels}"),
        ({"share": 2}, "less than or equal to 1"),
    ],
)
def test_invalid_settings_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(message)):
        own(**changes)


def test_only_categories_that_are_known_to_be_absent_are_asked_for() -> None:
    table = batch([DOG], meta='{"curate.absent": ["Fire_hydrants", "dog", "fire"]}')
    for seed in range(9):
        assert answers(own(per_query=9), table, seed=seed)["absent"] == [["fire hydrant"]]
    nothing = batch([DOG], meta='{"curate.absent": []}')
    assert answers(own(per_query=9), nothing)["absent"] == [None]


def test_an_image_that_lost_an_annotation_may_have_any_category() -> None:
    table = batch([DOG], meta='{"curate.lost": {"annotations": 1}}')
    answered = answers(own(), table)
    assert (answered["absent"], answered["no_question"]) == ([None], ["incomplete record"])
    assert answered["content"] == table["content"].to_pylist()
