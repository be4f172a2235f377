"""The step `label` in complete runs against a real server: one label of a closed set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from curate.emit.read import read_shards
from curate.engine.ray import RayExecutor
from manifests.errors import RecipeError
from recaption.label.classes import label_of, normal_form
from tests.recaption.document_runs import TEXTS, bad, document_of, rows, run
from tests.recaption.endpoint import MODEL, Answer, Asked, Endpoint, reply
from tests.recaption.recaption_runs import write
from tests.runs import caption_recipe, file_bytes, row_counts, run_engine

LABELS = {"News": "Reports of events.", "How-to": "Instructions.", "C++": ""}


def labelled(label: Any, **more: Any) -> Answer:
    return reply(json.dumps({"label": label, **more}))


def in_turn(asked: Asked) -> Answer:
    """Labels text 0 News, text 1 How-to, text 2 C++, text 3 other, and so on."""
    return labelled([*LABELS, "other"][int(document_of(asked)[-1]) % 4])


def test_each_record_gets_one_label_of_the_set(tmp_path: Path, endpoint: Endpoint) -> None:
    endpoint.answer = in_turn
    write(tmp_path, TEXTS[:4])
    found = rows(tmp_path, run(tmp_path, endpoint, "label", labels=LABELS, other=True))
    assert {text: row["label.label"] for text, row in found.items()} == {
        "text 0": "News", "text 1": "How-to", "text 2": "C++", "text 3": "other",
    }  # fmt: skip
    assert {row["label.status"] for row in found.values()} == {"labelled"}
    asked = endpoint.asked[0]
    assert "- News: Reports of events.\n- How-to: Instructions.\n- C++\n- other: None" in asked.text
    schema = asked.body["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["label"]["enum"] == ["News", "How-to", "C++", "other"]
    assert len(asked.images) == 1


@pytest.mark.parametrize(
    ("text", "plain"),
    [("News", "news"), (' "NEWS." ', "news"), ("**how-to**", "how-to"), ("C++", "c++"),
     ("C#", "c"), ("\u201eStra\u00dfe\u201c", "strasse"), ("新闻。", "新闻"), ("--", ""), ("", "")],
)  # fmt: skip
def test_labels_are_compared_without_case_and_outer_punctuation(text: str, plain: str) -> None:
    assert normal_form(text) == plain


@pytest.mark.parametrize("label", ["news", " News. ", "'NEWS'"])
def test_the_label_is_written_as_in_the_recipe(label: str) -> None:
    assert label_of(json.dumps({"label": label}), LABELS) == "News"


BAD: dict[str, tuple[str, str]] = {
    "unknown": ('{"label": "Sports"}', "unknown label"),
    "longer": ('{"label": "News reports"}', "unknown label"),
    "shorter": ('{"label": "New"}', "unknown label"),
    "two": ('{"label": "News, How-to"}', "unknown label"),
    "other": ('{"label": "other"}', "unknown label"),
    "nothing": ('{"label": ""}', "unknown label"),
    "null": ('{"label": null}', "wrong type"),
    "list": ('{"label": ["News"]}', "wrong type"),
    "bare": ("News", "not JSON"),
    "text": ('"News"', "wrong type"),
    "reason": ('{"label": "News", "reason": "it is"}', "wrong fields"),
    "another field": ('{"topic": "News"}', "wrong fields"),
    "twice": ('{"label": "News", "label": "How-to"}', "not JSON"),
    "half": ('{"label": "New', "not JSON"),
}


@pytest.mark.parametrize("name", BAD)
def test_any_other_reply_is_asked_again_then_null(
    tmp_path: Path, endpoint: Endpoint, name: str
) -> None:
    text, fault = BAD[name]
    endpoint.answer = bad(text, lambda: labelled("news"))
    write(tmp_path, TEXTS[:3])
    found = rows(tmp_path, run(tmp_path, endpoint, "label", labels=LABELS))
    shown = {t: (r["label.label"], r["label.status"], r["label.replies"]) for t, r in found.items()}
    assert shown == {
        "text 0": (None, fault, 2), "text 1": ("News", "labelled", 2),
        "text 2": ("News", "labelled", 1),
    }  # fmt: skip


def test_labels_to_keep_ask_nothing_again(tmp_path: Path, endpoint: Endpoint) -> None:
    endpoint.answer = lambda a: reply("no") if document_of(a) == "text 5" else in_turn(a)
    write(tmp_path, TEXTS)

    def dropped(**settings: Any) -> dict[str, int]:
        made = run(tmp_path, endpoint, "label", labels=LABELS, other=True, **settings)
        return dict(row_counts(made)["label"][2])

    assert dropped() == {}
    asked = len(endpoint.asked)
    assert dropped(keep=["News"]) == {"other label": 3}
    assert dropped(keep=["News", "other"], unlabelled="drop") == {"other label": 2, "no label": 1}
    assert len(endpoint.asked) == asked


def test_shards_have_the_labels(tmp_path: Path, endpoint: Endpoint) -> None:
    endpoint.answer = in_turn
    write(tmp_path, TEXTS[:4])
    step = {"model": MODEL, "endpoint": endpoint.url, "labels": LABELS, "other": True}
    recipe = caption_recipe(steps=[{"label": step}], shards={"columns": ["label.label"]})
    run_engine(recipe, tmp_path, tmp_path / "out")
    tables = list(read_shards(str(tmp_path / "out" / "shards")))
    found = [label for table in tables for label in table["label.label"].to_pylist()]
    assert sorted(found) == ["C++", "How-to", "News", "other"]


def test_ray_writes_the_same_bytes(tmp_path: Path, endpoint: Endpoint, ray: None) -> None:
    endpoint.answer = in_turn
    found = []
    for name, executor in (("inline", None), ("ray", RayExecutor(2))):
        write(tmp_path / name, TEXTS)
        run(tmp_path / name, endpoint, "label", executor, labels=LABELS, other=True)
        found.append(file_bytes(tmp_path / name / "out" / "shards"))
    assert found[0] == found[1]
    assert len(endpoint.asked) == 12


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "one": ({"labels": {"News": ""}}, "two labels at least"),
    "the same": ({"labels": {"News": "", "news.": ""}}, "differ only in case"),
    "no word": ({"labels": {"News": "", "--": ""}}, "no letter, digit or symbol"),
    "other": ({"labels": {"News": "", "other": ""}, "other": True}, "which `labels` has too"),
    "like other": ({"labels": {"News": "", "Other": ""}, "other": True}, "differ only in case"),
    "keep": ({"labels": LABELS, "keep": ["Newz"]}, "Did you mean 'News'"),
    "keep other": (
        {"labels": LABELS, "keep": ["other"]},
        "'other', which is not one of the labels",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_settings_are_refused_before_the_run(
    tmp_path: Path, endpoint: Endpoint, name: str
) -> None:
    settings, message = WRONG[name]
    write(tmp_path, TEXTS[:1], files=1)
    with pytest.raises(RecipeError, match=message):
        run(tmp_path, endpoint, "label", **settings)
