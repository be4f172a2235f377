"""`curate distinct`: the counts of what a run read and wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from curate.cli import OK
from curate.commands import distinct
from tests.make import make_image
from tests.runs import curate, run_recipe

CAPTIONS = [
    "a red house on a green hill by the river",
    "A red house  on a green hill by the river",
    "a red house on a green hill by the sea",
    "short one",
    "another short",
    "",
]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run over six captions in two files; three are long enough to be kept."""
    base = tmp_path_factory.mktemp("distinct")
    for number in range(2):
        (base / f"{number}.jpg").write_bytes(make_image(64, 48, number))
    rows = [{"caption": c, "image": f"{n % 2}.jpg"} for n, c in enumerate(CAPTIONS)]
    for name, some in (("a.jsonl", rows[:4]), ("b.jsonl", rows[4:])):
        (base / name).write_text("".join(json.dumps(row) + "\n" for row in some))
    source = {"name": "made", "reader": "table", "path": "*.jsonl", "text": "caption",
              "image": "image", "media_root": "."}  # fmt: skip
    run_recipe(base, source, steps=[{"words": {"min": 5}}])
    return base


def distinct_counts(base: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert curate(base, "distinct", "out", "--inline", "-q", "--json", *arguments) == OK
    return json.loads(capsys.readouterr().out)


def test_records_read_and_records_written_are_counted(
    base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert distinct_counts(base, capsys) == {
        "ngram": 5,
        "standard_error": 1.04 / 256,
        "read": {"records": 6, "texts": 4, "images": 2, "ngrams": 7},
        "written": {"records": 3, "texts": 2, "images": 2, "ngrams": 7},
    }


def test_parts_are_read_in_batches(
    base: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = distinct_counts(base, capsys)
    monkeypatch.setattr(distinct, "BATCH_ROWS", 1)
    assert distinct_counts(base, capsys) == at_once


def test_the_length_of_ngrams_is_a_setting(base: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert distinct_counts(base, capsys, "--ngram", "2")["read"]["ngrams"] == 12
    assert distinct_counts(base, capsys, "--ngram", "9")["written"]["ngrams"] == 3


def test_people_get_a_table(base: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert curate(base, "distinct", "out", "--inline", "-q") == OK
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows[2:6] == [
        ["records", "6", "3", "50.0%"],
        ["distinct", "texts", "4", "2", "50.0%"],
        ["distinct", "images", "2", "2", "100.0%"],
        ["distinct", "5-grams", "of", "words", "7", "7", "100.0%"],
    ]
    assert rows[-1][-1] == "0.41%."
