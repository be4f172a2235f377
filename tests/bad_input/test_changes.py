"""Files that change between reading and writing, and the same thing twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.bad_input.inputs import BRING, GOOD, LINES, PHOTOS, PHOTOS_KEPT, ROWS, write_lines
from tests.make import make_image
from tests.runs import Quarantined, curate, image_digests, run_recipe, sha256


def test_an_image_deleted_after_reading_is_quarantined_at_writing_until_it_is_back(
    base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_lines(base, *ROWS)
    first = run_recipe(base, LINES)
    (base / "data/1.jpg").rename(base / "kept.jpg")
    settings: dict[str, Any] = {
        "shards": {"columns": ["source"]}
    }  # writes the shards again, and reads no source
    made = run_recipe(base, LINES, **settings)
    assert made.accounts == {
        "read lines": (3, 3, {}, {}),
        "write arrow": (3, 2, {}, {"MediaError": 1}),
    }
    message = f"data/1.jpg: there is no such file. {BRING}"
    assert made.quarantine == [Quarantined("data/a.jsonl#2", "write arrow", "MediaError", message)]
    assert made.captions == {o: c for o, c in first.captions.items() if o != "data/a.jsonl#2"}
    capsys.readouterr()
    assert curate(base, "explain", "out", "data/a.jsonl#2", "--json") == 0
    assert json.loads(capsys.readouterr().out)["events"] == [
        {"step": "read lines", "what": "read", "facts": {"from": "data/a.jsonl#2"}},
        {"step": "write arrow", "what": "quarantined",
         "facts": {"error": "MediaError", "message": message}},
    ]  # fmt: skip
    (base / "kept.jpg").rename(base / "data/1.jpg")
    healed = run_recipe(base, LINES, how=("--inline", "--retry"), **settings)
    assert (healed.quarantine, healed.captions) == ([], first.captions)


def test_an_image_changed_after_reading_is_quarantined_at_writing(base: Path) -> None:
    write_lines(base, *ROWS)
    run_recipe(base, LINES)
    size = (base / "data/1.jpg").stat().st_size
    (base / "data/1.jpg").write_bytes(b"not what it was")
    made = run_recipe(base, LINES, shards={"columns": ["source"]})
    fix = "Restore the original file and run again with --retry, or leave it in quarantine."
    message = f"data/1.jpg: the file has changed: 15 bytes could be read instead of {size}. {fix}"
    assert made.quarantine == [Quarantined("data/a.jsonl#2", "write arrow", "MediaError", message)]
    assert len(made.rows) == 2


# The same thing twice


def test_a_file_that_a_glob_finds_twice_is_read_once(photos: Path) -> None:
    (photos / "data/deep/deeper").mkdir(parents=True)
    for path in list((photos / "data").glob("0.*")):
        path.rename(photos / "data/deep/deeper" / path.name)
    write_lines(photos, *ROWS[1:], name="deep/a.jsonl")
    lines = LINES | {"path": "data/**/**/*.jsonl"}
    made = run_recipe(photos, PHOTOS | {"path": "data/**/**/*.*"}, lines)
    assert made.accounts["read photos"][:2] == (3, 3)
    assert made.accounts["read lines"][:2] == (2, 2)
    assert len({row["id"] for row in made.rows}) == 5


def test_two_sources_over_one_folder_make_two_records_of_each_image(photos: Path) -> None:
    made = run_recipe(photos, PHOTOS, PHOTOS | {"name": "again"})
    assert made.accounts["read photos"][:2] == made.accounts["read again"][:2] == (3, 3)
    assert made.captions == PHOTOS_KEPT
    by_source = {(row["source"], row["origin"]): image_digests(row) for row in made.rows}
    assert by_source == {
        (name, f"data/{n}.jpg"): [sha256(make_image(64, 48, n))]
        for name in ("photos", "again")
        for n in range(3)
    }
    assert len({row["id"] for row in made.rows}) == 6


def test_an_image_that_two_lines_name_is_in_both_records(base: Path) -> None:
    write_lines(base, ROWS[0], ROWS[0])
    made = run_recipe(base, LINES)
    assert made.captions == {"data/a.jsonl#1": GOOD[0], "data/a.jsonl#2": GOOD[0]}
    assert [image_digests(row) for row in made.rows] == [[sha256(make_image(64, 48, 0))]] * 2
    assert len({row["id"] for row in made.rows}) == 2
