"""On object storage, a killed process loses no reply that it had."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from manifests import storage
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


def test_the_spool_of_a_live_process_is_left_alone(tmp_path: Path, bucket: str) -> None:
    folder = f"s3://tars/{tmp_path.name}{bucket}"
    live = Journal(folder)
    live.add(KEYS[0], 200, "body", {})
    assert KEYS[0] not in Journal(folder)
    live.close()
    assert KEYS[0] in Journal(folder)
