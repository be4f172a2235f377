"""What is in the journal is not asked again, and the journal is read when damaged, by a few lines
of Python, and on object storage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from curate import recipe as recipes
from curate.engine import plan
from manifests import storage
from tests.make import make_image
from tests.recaption.endpoint import Endpoint, good, refusal, reply
from tests.recaption.recaption_runs import TEXTS, journal_files, recipe, run, statuses, write
from tests.runs import curate, file_bytes, row_counts


def test_a_second_run_asks_nothing_and_writes_the_same_bytes(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    write(tmp_path)
    run(tmp_path, endpoint, "out")
    run(tmp_path, endpoint, "again", max_concurrent=3)
    assert len(endpoint.asked) == len(TEXTS)
    assert file_bytes(tmp_path / "out") == file_bytes(tmp_path / "again")


def test_a_change_of_what_is_dropped_asks_nothing(tmp_path: Path, endpoint: Endpoint) -> None:
    endpoint.answer = lambda a: reply("") if a.raw_text == TEXTS[3] else good(a)
    write(tmp_path)
    made = run(tmp_path, endpoint)
    assert statuses(tmp_path, made) == {"empty": 1, "rewritten": 11}
    made = run(tmp_path, endpoint, bad_replies="drop")
    assert row_counts(made)["recaption"] == (12, 11, {"bad reply": 1}, {})
    assert len(endpoint.asked) == 13


@pytest.mark.parametrize(
    "changed",
    [{"model": "other"}, {"revision": "2"}, {"temperature": 0.1}, {"max_tokens": 7}, {"seed": 5},
     {"max_pixels": 500}, {"parameters": {"top_p": 0.5}}],
)  # fmt: skip
def test_what_decides_the_reply_is_asked_again(
    tmp_path: Path, endpoint: Endpoint, changed: dict[str, Any]
) -> None:
    write(tmp_path, TEXTS[:2])
    run(tmp_path, endpoint)
    run(tmp_path, endpoint, "other", **changed)
    assert len(endpoint.asked) == 4


def test_equal_requests_are_asked_once(tmp_path: Path, endpoint: Endpoint) -> None:
    endpoint.seconds = 0.2
    write(tmp_path, ["the same"] * 6)
    for n in range(6):
        (tmp_path / "data" / "images" / f"{n}.jpg").write_bytes(make_image(seed=0))
    made = run(tmp_path, endpoint)
    assert statuses(tmp_path, made) == {"rewritten": 6}
    assert len(endpoint.asked) == 1


def test_equal_requests_that_fail_all_fail(tmp_path: Path, endpoint: Endpoint) -> None:
    error = refusal(500, "internal")
    endpoint.answer, endpoint.seconds = lambda a: error if "same" in a.raw_text else good(a), 0.2
    write(tmp_path, ["the same"] * 6 + TEXTS[:6], files=1)
    for n in range(6):
        (tmp_path / "data" / "images" / f"{n}.jpg").write_bytes(make_image(seed=0))
    made = run(tmp_path, endpoint, max_attempts=2)
    assert row_counts(made)["recaption"] == (12, 6, {}, {"ReplyError": 6})
    assert len(endpoint.asked) < 6 + 12


def test_a_damaged_journal_is_named_and_its_sound_entries_are_used(
    tmp_path: Path, endpoint: Endpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path)
    run(tmp_path, endpoint, max_concurrent=1)
    [path] = journal_files(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    lines = [line for line in lines if b'"key"' in line]
    flipped = bytearray(lines[4])
    flipped[200] ^= 4
    whole = b"".join([*lines[:4], bytes(flipped), *lines[5:]])
    path.write_bytes(whole[: -len(lines[-1]) // 2])
    assert curate(tmp_path, "journal", "journal") == 4
    printed = capsys.readouterr().out
    assert "10 different replies in 1 file" in printed
    assert printed.count("are no complete entry") == 2
    notes = plan.notes(recipes.build(recipe(endpoint), base=str(tmp_path)))
    assert [note.split(": ")[0] for note in notes] == ["recaption", "recaption"]
    assert path.name in notes[0]
    made = run(tmp_path, endpoint, "again")
    assert row_counts(made)["recaption"] == (12, 12, {}, {})
    assert len(endpoint.asked) == 14
    assert file_bytes(tmp_path / "out") == file_bytes(tmp_path / "again")


def test_a_few_lines_read_the_journal(tmp_path: Path, endpoint: Endpoint) -> None:
    write(tmp_path, TEXTS[:3])
    run(tmp_path, endpoint)
    [path] = journal_files(tmp_path)
    entries = [json.loads(line.split(b" ", 2)[2]) for line in path.read_bytes().splitlines()]
    replies = [json.loads(one["body"]) for one in entries if "body" in one]
    assert all("mark" in one["choices"][0]["message"]["content"] for one in replies)
    assert len(replies) == 3
    assert sum(one["asked"] for one in entries if "body" not in one) == 3


def test_the_journal_lies_on_object_storage(
    tmp_path: Path, endpoint: Endpoint, bucket: str
) -> None:
    write(tmp_path)
    where = f"s3://tars/journal{bucket}"
    run(tmp_path, endpoint, journal=where)
    run(tmp_path, endpoint, "again", journal=where)
    assert len(endpoint.asked) == 12
    assert file_bytes(tmp_path / "out") == file_bytes(tmp_path / "again")
    assert len(storage.names(where)) <= 4  # at most one for each part of a run
