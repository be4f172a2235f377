"""On object storage, a killed process loses no reply that it had."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from manifests import storage
from manifests.errors import StorageError
from recaption.client.entries import damage, files, lines
from recaption.client.journal import Journal
from tests.runs import environment

KEYS = [bytes([n]) * 16 for n in range(20)]
PROGRAM = """
import os, signal, sys
from recaption.client.journal import Journal
journal = Journal(sys.argv[1])
for n in range(20):
    journal.add(bytes([n]) * 16, 200, f"body {n}", {})
    if n == 9:
        journal.sync()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def own_spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def killed(folder: str) -> None:
    command = [sys.executable, "-c", PROGRAM, folder]
    assert subprocess.run(command, env={**environment(), **os.environ}).returncode == -9


def test_what_a_step_may_use_is_on_object_storage(tmp_path: Path, bucket: str) -> None:
    """The method `sync` was called after the tenth reply, and only there."""
    folder = f"s3://tars/{tmp_path.name}{bucket}"
    killed(folder)
    [name] = storage.names(folder)
    data = storage.read_bytes(storage.join(folder, name))
    assert [key.hex().encode() in data for key in KEYS] == [True] * 10 + [False] * 10


def test_the_next_process_of_the_machine_uploads_the_rest(tmp_path: Path, bucket: str) -> None:
    folder = f"s3://tars/{tmp_path.name}{bucket}"
    killed(folder)
    journal = Journal(folder)
    assert [(journal.get(key) or {}).get("body") for key in KEYS] == [
        f"body {n}" for n in range(20)
    ]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert len(storage.names(folder)) == 2
    [spool] = [uri for uri in files(folder) if uri.partition("?")[0].endswith("-spool.replies")]
    assert [line.key for line in lines(spool)] == KEYS[10:]


def test_an_incomplete_line_of_a_spool_is_not_uploaded(tmp_path: Path, bucket: str) -> None:
    folder = f"s3://tars/{tmp_path.name}{bucket}"
    killed(folder)
    [path] = [path for path in tmp_path.rglob("*") if path.is_file()]
    os.truncate(path, path.stat().st_size - 5)
    assert [key in Journal(folder) for key in KEYS] == [True] * 19 + [False]
    assert damage(folder) == []


def test_the_spool_of_a_live_process_is_left_alone(tmp_path: Path, bucket: str) -> None:
    folder = f"s3://tars/{tmp_path.name}{bucket}"
    live = Journal(folder)
    live.add(KEYS[0], 200, "body", {})
    assert KEYS[0] not in Journal(folder)
    live.close()
    assert KEYS[0] in Journal(folder)


def test_an_entry_that_is_added_after_the_close_replaces_no_other(
    tmp_path: Path, bucket: str
) -> None:
    folder = f"s3://tars/{tmp_path.name}{bucket}"
    journal = Journal(folder)
    for key in KEYS[:2]:
        journal.add(key, 200, "body", {})
        journal.close()
    journal.add(KEYS[2], 200, "body", {})
    journal.sync()
    later = Journal(folder)
    assert [key in later for key in KEYS[:4]] == [True, True, True, False]
    journal.close()


def test_a_reply_is_uploaded_although_the_local_disk_is_full(tmp_path: Path, bucket: str) -> None:
    folder = f"s3://tars/{tmp_path.name}{bucket}"
    journal = Journal(folder)
    journal.add(KEYS[0], 200, "body", {})
    assert journal._spool is not None
    kept = os.dup(journal._spool._fd)
    with open("/dev/full", "wb") as full:
        os.dup2(full.fileno(), journal._spool._fd)
    with pytest.raises(StorageError):
        journal.add(KEYS[1], 200, "body", {})
    os.dup2(kept, journal._spool._fd)
    os.close(kept)
    journal.close()
    assert KEYS[1] in Journal(folder)


def test_entries_that_cannot_be_uploaded_stay_for_the_next_journal(
    tmp_path: Path, bucket: str
) -> None:
    folder = f"s3://tars/{tmp_path.name}{bucket}"
    journal = Journal(folder)
    journal.add(KEYS[0], 200, "body", {})
    journal._folder = f"s3://no-such-bucket/journal{bucket}"
    with pytest.raises(StorageError):
        journal.close()
    assert KEYS[0] in Journal(folder)


def test_a_spool_that_a_cleaner_of_temporary_files_has_deleted_is_no_error(
    tmp_path: Path, bucket: str
) -> None:
    folder = f"s3://tars/{tmp_path.name}{bucket}"
    journal = Journal(folder)
    journal.add(KEYS[0], 200, "body", {})
    [path] = [path for path in tmp_path.rglob("*") if path.is_file()]
    path.unlink()
    journal.close()
    assert KEYS[0] in Journal(folder)


def test_a_folder_for_spools_of_another_user_is_refused(
    tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(StorageError, match="belongs to another user"):
        Journal(f"s3://tars/{tmp_path.name}{bucket}")
