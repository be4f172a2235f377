"""Counting records have the right number in each form; the original records stay."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from curate.compose.grounding.counting import Counting
from curate.compose.grounding.parsing import parse_objects
from curate.compose.grounding.rendering import AnswerObject, render_answer
from curate.compose.grounding.templates import COUNTING, check_templates
from tests.compose.grounding.texts import (
    IMAGE,
    IMAGE_SEGMENT,
    an_object,
    batch,
    questions_and_answers,
    with_box,
)
from tests.filters.rows import reshaped
from tests.make import make_image
from tests.runs import run_recipe

OWN = dict.fromkeys(COUNTING, ("{labels}?",))


def made(table: pa.Table, seed: int = 0, **changes: Any) -> list[dict[str, Any]]:
    """The new records. The old ones come first, unchanged."""
    out = reshaped(Counting(**{"templates": OWN, **changes}), table, seed=seed).kept
    assert out.schema.names == [*table.schema.names, "step.no_question"]
    out = out.select(table.schema.names)
    assert out.slice(0, table.num_rows).to_pylist() == table.to_pylist()
    return list(out.slice(table.num_rows).to_pylist())


def counts(table: pa.Table, seed: int = 0, **changes: Any) -> dict[str, str]:
    """The answers by label."""
    turns = [questions_and_answers(row["content"]) for row in made(table, seed, **changes)]
    assert {len(one) for one in turns} <= {1}
    return {asked.removesuffix("?"): answer for [(asked, answer)] in turns}


def number(answer: str) -> int:
    return int(answer.rpartition("\n")[2])


object_lists = st.lists(
    st.tuples(st.sampled_from(["dog", "cat", "猫", None]), st.booleans(), st.booleans()),
    max_size=9,
)


@given(st.lists(object_lists, max_size=4), st.integers(0, 5))
def test_the_number_equals_the_objects_and_the_listed_ones(
    drawn: list[list[tuple[str | None, bool, bool]]], seed: int
) -> None:
    records = [
        [
            an_object(
                label, **({"box": (1, 2, 3, n)} if b else {}), **({"point": (1, n)} if p else {})
            )
            for n, (label, b, p) in enumerate(some)
        ]
        for some in drawn
    ]
    table = batch(*records)
    asked = []
    for row in made(table, seed=seed):
        [(question, answer)] = questions_and_answers(row["content"])
        label = question.removesuffix("?")
        own = [one for one in row["objects"] if one["label"] == label]
        assert number(answer) == len(own)
        assert len(parse_objects(answer)) in (0, len(own))
        assert (len(parse_objects(answer)) == 0) == (answer == str(len(own)))
        asked.append(label)
    wanted = [{label for label, *_ in some if label} for some in drawn]
    assert Counter(asked) == Counter(label for some in wanted for label in some)


def test_each_form_has_its_own_answer() -> None:
    table = batch(
        [with_box("a", 5, 6, 7, 8, point=(6, 7)), with_box("a", 1, 2, 3, 4, point=(2, 3))]
    )
    assert counts(table, forms=["direct"]) == {"a": "2"}
    assert counts(table, forms=["boxes"]) == {
        "a": '```json\n[\n\t{"bbox_2d": [1, 2, 3, 4], "label": "a"},\n'
        '\t{"bbox_2d": [5, 6, 7, 8], "label": "a"}\n]\n```\n2'
    }
    assert counts(table, forms=["points"]) == {
        "a": '```json\n[\n\t{"point_2d": [2, 3], "label": "a"},\n'
        '\t{"point_2d": [6, 7], "label": "a"}\n]\n```\n2'
    }
    assert parse_objects(counts(table, forms=["boxes"], style="qwen2.5")["a"])[0].box == (
        1,
        1,
        2,
        2,
    )


def test_a_form_is_chosen_only_if_every_object_has_coordinates_for_it() -> None:
    table = batch(
        [with_box("a", 1, 2, 3, 4), with_box("a", 1, 2, 3, 4, point=(1, 1)), an_object("b")]
    )
    for seed in range(9):
        assert counts(table, forms=["points"], seed=seed) == {}
        assert set(counts(table, forms=["boxes", "points"], seed=seed)) == {"a"}
    assert counts(table, forms=["direct"]) == {"a": "2", "b": "1"}
    unknown = batch([with_box("a", 1, 2, 3, 4)], media=[{**IMAGE, "width": None}])
    assert counts(unknown, forms=["boxes"], style="qwen2.5") == {}
    assert counts(unknown, forms=["direct"], style="qwen2.5") == {"a": "1"}


def test_labels_with_too_few_or_too_many_objects_are_not_counted() -> None:
    objects = [an_object(label) for label, n in (("a", 1), ("b", 2), ("c", 4)) for _ in range(n)]
    assert counts(batch(objects), min=2, max=3) == {"b": "2"}
    assert len(counts(batch(objects), max_labels=2)) == 2


def test_a_label_with_a_group_object_is_not_counted() -> None:
    crowd = {"attributes": json.dumps({"iscrowd": 1, "id": 5})}
    not_one = {"attributes": json.dumps({"iscrowd": 0, "note": "is_group_of"})}
    table = batch([an_object("a", **crowd), an_object("a"), an_object("b", **not_one)])
    assert counts(table, forms=["direct"]) == {"b": "1"}
    assert counts(table, forms=["direct"], group_attributes=[]) == {"a": "2", "b": "1"}


def test_a_new_record_differs_from_its_parent_only_in_id_and_content() -> None:
    caption = [{"kind": "image", "media": 0}, {"kind": "text", "text": "Dogs.", "loss": True}]
    table = batch(
        [with_box("a", 1, 2, 3, 4), with_box("b", 1, 2, 3, 4)], content=caption, meta='{"x":1}'
    )
    table = table.append_column("words.count", pa.array([3]))
    [parent], children = table.to_pylist(), made(table)
    assert len({parent["id"], *(child["id"] for child in children)}) == 3
    for child in children:
        assert child.pop("content")[0] == IMAGE_SEGMENT
        assert child.pop("raw_text") == "Dogs."
        assert child == {k: v for k, v in {**parent, "id": child["id"]}.items() if k in child}


def test_ids_and_forms_do_not_depend_on_other_records() -> None:
    table = batch(*[[with_box("a", 1, 2, 3, n, point=(1, 2)), an_object("b")] for n in range(30)])
    whole = {row["id"]: row["content"] for row in made(table)}
    alone = [row for n in range(29, -1, -1) for row in made(table.slice(n, 1))]
    assert {row["id"]: row["content"] for row in alone} == whole
    assert len(whole) == 60
    again = reshaped(Counting(templates=OWN, forms=["points"]), table).kept
    both = reshaped(Counting(templates=OWN, forms=["direct"]), again.slice(0, 30)).kept
    assert len({*again["id"].to_pylist(), *both["id"].to_pylist()}) == 30 + 30 + 60
    forms = Counter(
        answer.partition("[")[0] for c in whole.values() for _, answer in questions_and_answers(c)
    )
    assert min(forms.values()) >= 5


def test_a_record_not_about_one_image_adds_nothing() -> None:
    assert made(batch([an_object("a")], media=[])) == []
    assert made(batch([an_object("a"), an_object("a", media=1)], media=[IMAGE, IMAGE])) == []
    assert made(batch()) == []


def test_built_in_templates_name_the_label_and_differ() -> None:
    table = batch(*[[an_object("猫")]] * 60)
    asked = {
        questions_and_answers(row["content"])[0][0]
        for row in made(table, templates={}, forms=["direct"])
    }
    assert asked == {template.fill("猫") for template in COUNTING["direct"]}
    for some in COUNTING.values():
        check_templates([template.text for template in some], "labels")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"forms": []}, "at least 1"),
        ({"forms": ["voxels"]}, "direct"),
        ({"min": 5, "max": 2}, "min is 5, but max is only 2"),
        ({"templates": {"direct": ["How many?"]}}, "no placeholder; it must have {labels}"),
        ({"templates": {"direct": []}}, "the list for direct is empty"),
        ({"style": "tags"}, "qwen3"),
    ],
)
def test_invalid_settings_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Counting(**changes)


def test_a_run_counts_what_it_makes_and_no_form_is_lost(tmp_path: Path) -> None:
    """Negatives, then counting, then questions added to both: everything is accounted for."""
    (tmp_path / "a.jpg").write_bytes(make_image(64, 48))
    answer = render_answer(
        "qwen3", "boxes", [AnswerObject(name, (n, n, 9, 9)) for n, name in enumerate("abb")]
    )
    turns = [{"from": "human", "value": "<image>"}, {"from": "gpt", "value": answer}]
    samples = [{"image": "a.jpg", "conversations": turns}] * 20
    (tmp_path / "a.json").write_text(json.dumps(samples))
    made = run_recipe(
        tmp_path,
        {"name": "own", "reader": "qwen_grounding", "path": "a.json"},
        steps=[
            {"negatives": {"categories": ["a", "c"], "share": 1, "templates": ["No {labels}?"]}},
            {"counting": {"templates": {form: ["How many {labels}?"] for form in COUNTING}}},
            {"grounding_text": {"turns": "add", "templates": ["All {labels}?"]}},
        ],
    )
    account = next(a for a in made.manifest.ledger if a.step == "counting")
    assert (account.rows_in, account.made, account.kept) == (20, 40, 60)
    asked = Counter(
        item["text"]
        for row in made.rows
        for message in row["messages"]
        for item in message["content"]
        if message["role"] == "user" and item["text"]
    )
    assert asked["No c?"] == 20
    assert asked["How many a?"] == asked["How many b?"] == 20
    assert asked["All a, b?"] + asked["All b, a?"] == 60
    assert len(made.rows) == 60


def test_a_record_that_lost_an_annotation_is_not_counted_for_a_reason() -> None:
    lost = batch([with_box("dog", 1, 2, 3, 4)], meta='{"curate.lost": {"annotations": 1}}')
    assert made(lost) == []
    out = reshaped(Counting(templates=OWN), lost).kept
    assert out["step.no_question"].to_pylist() == ["incomplete record"]
    whole = batch([with_box("dog", 1, 2, 3, 4)], [], meta='{"note": "curate.lost"}')
    out = reshaped(Counting(templates=OWN), whole).kept
    assert out["step.no_question"].to_pylist() == [None, "no countable label", None]


def test_a_label_of_which_not_all_objects_are_annotated_is_not_counted() -> None:
    partial = with_box("dog", 1, 2, 3, 4, attributes='{"curate.partial": true}')
    table = batch([with_box("dog", 5, 2, 6, 4), partial, with_box("cat", 1, 2, 3, 4)])
    assert counts(table, forms=["direct"], group_attributes=[]) == {"cat": "1"}


@pytest.mark.parametrize("name", ["iscrowd", "isGroupOf", "ignore"])
def test_a_label_with_a_group_of_unknown_number_is_not_counted(name: str) -> None:
    group = with_box("dog", 1, 2, 3, 4, attributes=json.dumps({name: 1}))
    table = batch([with_box("dog", 5, 2, 6, 4), group, with_box("cat", 1, 2, 3, 4)])
    assert counts(table, forms=["direct"]) == {"cat": "1"}
