"""A journal is compacted: nothing is lost, whatever reads, writes or kills meanwhile."""

from __future__ import annotations

import errno
import fcntl
import os
import random
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from manifests import storage
from manifests.errors import StorageError
from recaption.client import compaction
from recaption.client.compaction import compact
from recaption.client.entries import damage, files, framed
from recaption.client.journal import Journal
from recaption.client.places import Places
from recaption.client.survey import survey
from tests.recaption.endpoint import Endpoint
from tests.recaption.recaption_runs import TEXTS, journal_files, run, write
from tests.runs import curate, environment, file_bytes

KEYS = [bytes([n]) * 16 for n in range(40)]


def filled(folder: str, runs: int = 5, each: int = 12) -> dict[bytes, str]:
    """The replies of a journal that some processes wrote, some of them for the same keys."""
    for number in range(runs):
        journal = Journal(folder)
        journal._name = f"2026010{number}T000000Z-{number:012x}"
        for key in KEYS[number * each // 2 : number * each // 2 + each]:
            journal.add(key, 200, f"body {number} {key.hex()}", {"model": "m"})
        journal.sync({"saved_input_tokens": number + 1})
        journal.close()
    return bodies(folder)


def bodies(folder: str) -> dict[bytes, str]:
    journal = Journal(folder)
    found = {key: journal.get(key) for key in KEYS}
    return {key: entry["body"] for key, entry in found.items() if entry}


def test_a_compacted_journal_has_the_same_replies_in_one_file(tmp_path: Path) -> None:
    folder = str(tmp_path)
    before = filled(folder)
    made = compact(folder)
    assert (made.before, made.after, made.repeated, made.damaged) == (5, 1, 24, 0)
    assert bodies(folder) == before
    assert sum(survey(uri).saved.input_tokens for uri in files(folder)) == 1 + 2 + 3 + 4 + 5
    assert compact(folder) == (1, 1, 0, 0, 0)
    assert [path.suffix for path in tmp_path.iterdir()] == [".replies"]


def test_a_file_that_a_process_writes_stays_and_which_reply_a_key_has_too(tmp_path: Path) -> None:
    folder = str(tmp_path)
    filled(folder, 2)
    live = Journal(folder)
    live._name = "20260102T120000Z-000000000000"
    live.add(KEYS[30], 200, "of the live process", {})
    later = Journal(folder)
    later._name = "20260103T000000Z-000000000000"
    later.add(KEYS[30], 200, "of the last", {})
    later.close()
    before = bodies(folder)
    made = compact(folder)
    assert (made.before, made.after, made.in_use) == (4, 3, 1)
    live.add(KEYS[31], 200, "also of the live process", {})
    live.close()
    assert bodies(folder) == {**before, KEYS[31]: "also of the live process"}
    assert bodies(folder)[KEYS[30]] == "of the live process"


def test_a_process_that_read_the_journal_before_finds_its_replies(tmp_path: Path) -> None:
    folder = str(tmp_path)
    before = filled(folder)
    journal = Journal(folder)
    compact(folder)
    found = {key: entry["body"] for key in KEYS if (entry := journal.get(key))}
    assert found == before


def test_a_killed_compaction_loses_nothing(tmp_path: Path) -> None:
    """Killed at 25 moments, while another process writes."""
    folder, chance = str(tmp_path / "journal"), random.Random(5)
    before = filled(folder)
    program = (
        "import sys\nfrom recaption.client.compaction import compact\n"
        "print('begun', flush=True)\nwhile True: compact(sys.argv[1])"
    )
    writer = Journal(folder)
    for number in range(25):
        key = (1000 + number).to_bytes(16, "big")
        with subprocess.Popen(
            [sys.executable, "-c", program, folder], env=environment(), stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            writer.add(key, 200, f"body {number}", {})
            if number % 5 == 0:
                writer.close()
                writer = Journal(folder)
            time.sleep(chance.random() * 0.03)
            process.send_signal(signal.SIGKILL)
        entry = Journal(folder).get(key)
        assert entry is not None
        assert entry["body"] == f"body {number}"
        assert bodies(folder) == before
    assert damage(folder) == []


def test_the_command_compacts_and_a_run_asks_nothing_after_it(
    tmp_path: Path, endpoint: Endpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, TEXTS[:6])
    run(tmp_path, endpoint, "first")
    write(tmp_path)
    run(tmp_path, endpoint, "out")
    assert len(journal_files(tmp_path)) == 2
    assert curate(tmp_path, "journal", "journal", "--compact") == 0
    assert "2 files became 1" in capsys.readouterr().out
    run(tmp_path, endpoint, "again")
    assert len(endpoint.asked) == 12
    assert file_bytes(tmp_path / "out") == file_bytes(tmp_path / "again")


def test_a_journal_on_object_storage_is_compacted(tmp_path: Path, bucket: str) -> None:
    folder = f"s3://tars/{tmp_path.name}{bucket}"
    before = filled(folder)
    journal = Journal(folder)
    assert compact(folder)[:2] == (5, 1)
    assert len(storage.names(folder)) == 1
    assert bodies(folder) == before
    assert {key: entry["body"] for key in KEYS if (entry := journal.get(key))} == before


@pytest.mark.parametrize(
    ("damaging", "left"),
    [
        (lambda data: data[:-20], 11),
        (lambda data: data[:300] + bytes([data[300] ^ 1]) + data[301:], 11),
        (lambda data: b"", 0),
        (lambda data: bytes(range(256)) * 40 + b"\n" + data, 12),
        (lambda data: data.replace(b"\n", b"\r\n"), 12),
        (lambda data: data.replace(b"\n", b"\n\n"), 12),
        (lambda data: b"\xef\xbb\xbf" + data, 11),
    ],
    ids=["truncated", "flipped", "empty", "rubbish", "crlf", "empty lines", "byte order mark"],
)
def test_sound_entries_of_a_damaged_file_are_used_and_kept(
    tmp_path: Path, damaging: object, left: int
) -> None:
    folder = str(tmp_path)
    journal = Journal(folder)
    for key in KEYS[:12]:
        journal.add(key, 200, "a reply", {})
    journal.close()
    [path] = tmp_path.iterdir()
    assert callable(damaging)
    path.write_bytes(damaging(path.read_bytes()))
    assert len(bodies(folder)) == left
    is_named = len(damage(folder)) > 0
    assert is_named == (path.stat().st_size > 0 and b"\r\n" not in path.read_bytes())
    filled(folder, 1)
    compact(folder)
    assert len(bodies(folder)) == 12
    assert damage(folder) == []


def test_names_do_not_become_longer_with_each_compaction(tmp_path: Path) -> None:
    for n in range(20):
        journal = Journal(str(tmp_path))
        journal._name = f"202601{n:02d}T000000Z-{n:012x}"
        journal.add(KEYS[n], 200, "a reply", {})
        journal.close()
        assert compact(str(tmp_path)).after == 1
    [path] = tmp_path.iterdir()
    assert re.fullmatch(r"20260100T000000Z-0{12}-j[0-9a-f]{12}\.replies", path.name)
    assert len(bodies(str(tmp_path))) == 20


def test_a_joined_file_stays_before_the_files_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each group of two files is joined; all files have one key."""
    folder = str(tmp_path)
    for n in range(6):
        journal = Journal(folder)
        journal._name = f"20260101T000000Z-{n:012x}"
        journal.add(KEYS[0], 200, f"reply {n}", {})
        journal.add(KEYS[1 + n // 2], 200, f"reply {n}", {})
        journal.close()
    before = bodies(folder)
    size = next(tmp_path.iterdir()).stat().st_size
    monkeypatch.setattr(compaction, "MAX_BYTES", 2 * size + size // 2)
    assert compact(folder) == (6, 3, 0, 6, 0)
    assert bodies(folder) == before
    names = sorted(path.name.split("-")[1] for path in tmp_path.iterdir())
    assert names == [f"{n:012x}" for n in (0, 2, 4)]


def test_the_unfinished_file_of_a_killed_compaction_is_deleted(tmp_path: Path) -> None:
    filled(str(tmp_path))
    (tmp_path / ".20260100T000000Z-0-j0.replies.0123abcd.tmp").write_bytes(b"unfinished")
    compact(str(tmp_path))
    assert [path.suffix for path in tmp_path.iterdir()] == [".replies"]


def test_only_one_process_compacts_a_journal(tmp_path: Path) -> None:
    filled(str(tmp_path))
    other = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    with pytest.raises(StorageError, match="another process compacts this journal"):
        compact(str(tmp_path))
    os.close(other)
    assert compact(str(tmp_path)).after == 1


def test_a_journal_on_a_disk_without_locks_is_compacted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(file: object, kind: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    before = filled(str(tmp_path))
    assert compact(str(tmp_path)).after == 1
    assert bodies(str(tmp_path)) == before


def test_a_folder_without_a_journal_is_not_compacted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert curate(tmp_path, "journal", "jornal", "--compact") == 1
    assert "jornal: this folder has no files of a journal" in capsys.readouterr().err


def test_after_a_compaction_the_journal_is_read_again_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = list[str]()

    def counted(folder: str) -> Places:
        read.append(folder)
        return places_of(folder)

    before, places_of = filled(str(tmp_path)), Places.of
    journal = Journal(str(tmp_path))
    compact(str(tmp_path))
    monkeypatch.setattr(Places, "of", counted)
    with ThreadPoolExecutor(8) as threads:
        entries = dict(zip(before, threads.map(journal.get, before), strict=True))
    assert {key: entry and entry["body"] for key, entry in entries.items()} == before
    assert len(read) == 1


def test_the_old_files_are_kept_if_the_new_one_is_read_back_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaging(data: bytes) -> bytes:
        return framed(data.replace(b"body 3", b"body 4"))[:26] + data + b"\n"

    filled(str(tmp_path))
    before = file_bytes(tmp_path)
    monkeypatch.setattr(compaction, "framed", damaging)
    with pytest.raises(StorageError, match="lacks entries; the old files are kept"):
        compact(str(tmp_path))
    assert file_bytes(tmp_path) == before
