"""What is in the journal is not asked again, and the journal is read when damaged, by a few lines
of Python, and on object storage."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import xxhash

from curate import recipe as recipes
from curate.engine import plan
from manifests import storage
from manifests.errors import StorageError
from recaption.client.journal import Journal
from tests.make import make_image
from tests.recaption import killed_runs
from tests.recaption.endpoint import KEY, Answer, Asked, Endpoint, good, refusal, reply
from tests.recaption.recaption_runs import TEXTS, journal_files, recipe, run, statuses, write
from tests.runs import curate, environment, file_bytes, row_counts


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


def test_of_two_replies_that_were_paid_for_the_first_file_decides(tmp_path: Path) -> None:
    first, second = Journal(str(tmp_path)), Journal(str(tmp_path))
    for journal, body in ((first, "one"), (second, "two")):
        journal.add(b"k" * 16, 200, body, {})
        journal.close()
    names = sorted(path.name for path in tmp_path.iterdir())
    (tmp_path / names[0]).rename(tmp_path / f"1{names[0]}")
    (tmp_path / names[1]).rename(tmp_path / f"0{names[1]}")
    kept = (tmp_path / f"0{names[1]}").read_bytes()
    found = Journal(str(tmp_path)).get(b"k" * 16)
    assert found is not None
    assert found["body"].encode() in kept


def test_a_process_finds_the_replies_that_it_wrote(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path))
    bodies = {bytes([n]) * 16: "x" * n for n in range(5)}
    for key, body in bodies.items():
        journal.add(key, 200, body, {})
    found = {key: journal.get(key) for key in bodies}
    assert {key: entry and entry["body"] for key, entry in found.items()} == bodies


def test_an_entry_that_is_added_after_the_close_replaces_no_other(tmp_path: Path) -> None:
    """After a second Ctrl-C, nobody waits for the threads that ask."""
    journal = Journal(str(tmp_path))
    for n in range(5):
        journal.add(bytes([n]) * 16, 200, f"reply {n}", {})
        if n > 2:
            journal.close()
    journal.sync()
    found = [Journal(str(tmp_path)).get(bytes([n]) * 16) for n in range(5)]
    assert [entry and entry["body"] for entry in found] == [f"reply {n}" for n in range(5)]
    journal.close()


def test_a_journal_that_cannot_be_flushed_closes_its_file(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path))
    before = len(os.listdir("/proc/self/fd"))
    journal.add(b"k" * 16, 200, "a reply", {})
    [path] = tmp_path.iterdir()
    path.unlink()
    with pytest.raises(StorageError, match="was deleted"):
        journal.close()
    assert len(os.listdir("/proc/self/fd")) == before
    journal.close()


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
    assert printed.count("bytes) is damaged") == 2
    notes = plan.notes(recipes.build(recipe(endpoint), base=str(tmp_path)))
    assert [note.split(": ")[0] for note in notes] == ["recaption", "recaption"]
    assert path.name in notes[0]
    made = run(tmp_path, endpoint, "again")
    assert row_counts(made)["recaption"] == (12, 12, {}, {})
    assert len(endpoint.asked) == 14
    assert file_bytes(tmp_path / "out") == file_bytes(tmp_path / "again")


def line(data: bytes) -> bytes:
    return b"%08x %016x %b\n" % (len(data), xxhash.xxh3_64_intdigest(data), data)


FOREIGN = {
    "bytes": b"\x00\xff" * 1000,
    "values": line(b"[1]") + line(b"5") + line(b"null"),
    "no JSON": line(b"{no"),
    "other fields": line(b'{"a": 1}') + line(b'{"hits": "1"}') + line(b'{"hits": null}'),
    "wrong keys": line(b'{"key": "zz", "body": "{}"}') + line(b'{"key": 5, "body": "{}"}'),
    "no reply": line(b'{"key": "%b"}' % (b"0" * 32)),
    "wrong values": b"".join(
        line(b'{"key": "00000000000000000000000000000000", "body": "{}", %b}' % wrong)
        for wrong in (
            b'"money": "1"',
            b'"seconds": []',
            b'"prompt": []',
            b'"model": null',
            b'"currency": "EUR"',
            b'"currency": [], "money": 1',
        )
    ),
    "wrong counts": line(b'{"hits": 1, "saved_output_tokens": "1"}')
    + line(b'{"hits": 1, "currency": "EUR"}'),
}


@pytest.mark.parametrize("what", FOREIGN)
def test_foreign_lines_in_a_journal_are_named_and_change_nothing(
    tmp_path: Path, endpoint: Endpoint, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path)
    run(tmp_path, endpoint)
    (tmp_path / "journal" / "0.replies").write_bytes(FOREIGN[what])
    assert curate(tmp_path, "journal", "journal") == 4
    printed = capsys.readouterr().out
    assert printed.count("0.replies") == len(FOREIGN[what].splitlines())
    run(tmp_path, endpoint, "again")
    assert len(endpoint.asked) == len(TEXTS)
    assert file_bytes(tmp_path / "out") == file_bytes(tmp_path / "again")


def test_two_copies_of_a_journal_in_one_are_one(tmp_path: Path, endpoint: Endpoint) -> None:
    write(tmp_path)
    run(tmp_path, endpoint)
    [path] = journal_files(tmp_path)
    path.write_bytes(path.read_bytes() * 2)
    (path.parent / "0.replies").write_bytes(path.read_bytes())
    run(tmp_path, endpoint, "again")
    assert len(endpoint.asked) == len(TEXTS)
    assert file_bytes(tmp_path / "out") == file_bytes(tmp_path / "again")


def test_a_full_disk_loses_the_replies_in_flight_and_no_entry(tmp_path: Path) -> None:
    """The limit of the size of a file stands for a full disk: writes stop in the middle of a
    line."""
    killed_runs.write(tmp_path)
    log = tmp_path / "log"

    def asked() -> int:
        return len(log.read_text().splitlines())

    def entries() -> list[dict[str, Any]]:
        lines = [one for p in journal_files(tmp_path) for one in p.read_bytes().splitlines()]
        found = [json.loads(one.split(b" ", 2)[2]) for one in lines]
        return [entry for entry in found if "key" in entry]

    def bounded() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (90_001, resource.RLIM_INFINITY))

    def go(**more: Any) -> int:
        command = [sys.executable, "-m", "curate", "run", "recipe.yaml", "-o", "out", "--inline"]
        env = environment(VLM_API_KEY=KEY)
        return subprocess.run(command, cwd=tmp_path, env=env, timeout=120, **more).returncode

    with killed_runs.serving(log) as url:
        killed_runs.write_recipe(tmp_path, url)
        assert go(preexec_fn=bounded) == 1
        assert 0 < asked() - len(entries()) <= killed_runs.IN_FLIGHT
        assert go() == 0
        assert len({entry["key"] for entry in entries()}) == killed_runs.ROWS
        assert asked() - killed_runs.ROWS <= killed_runs.IN_FLIGHT


@pytest.mark.parametrize("what", ["deleted", "changed"])
def test_a_run_whose_journal_is_deleted_or_changed_stops(
    tmp_path: Path, endpoint: Endpoint, what: str
) -> None:
    """Further replies would be lost with it, and nothing would say so."""

    def answer(asked: Asked) -> Answer:
        if len(endpoint.asked) == 10:
            [path] = journal_files(tmp_path)
            path.unlink() if what == "deleted" else os.truncate(path, 10)
        return good(asked)

    endpoint.answer = answer
    write(tmp_path)
    with pytest.raises(StorageError, match=f"was {what} while the run wrote"):
        run(tmp_path, endpoint, max_concurrent=1)
    endpoint.answer = good
    assert statuses(tmp_path, run(tmp_path, endpoint)) == {"rewritten": 12}


@pytest.mark.parametrize("where", ["journal", "journal/below"])
def test_a_journal_that_cannot_be_a_folder_is_named_before_a_request(
    tmp_path: Path, endpoint: Endpoint, where: str
) -> None:
    write(tmp_path, TEXTS[:2])
    (tmp_path / "journal").write_text("a file")
    with pytest.raises(StorageError, match="cannot be a folder"):
        run(tmp_path, endpoint, journal=where)
    assert endpoint.asked == []


def test_a_few_lines_read_the_journal(tmp_path: Path, endpoint: Endpoint) -> None:
    write(tmp_path, TEXTS[:3])
    run(tmp_path, endpoint)
    [path] = journal_files(tmp_path)
    entries = [json.loads(line.split(b" ", 2)[2]) for line in path.read_bytes().splitlines()]
    replies = [json.loads(one["body"]) for one in entries if "body" in one]
    assert all("mark" in one["choices"][0]["message"]["content"] for one in replies)
    assert len(replies) == 3


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
