"""A folder is held by one process at a time; the lock of a process that has ended is taken over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from manifests.errors import LockError
from manifests.run import lock

HOLD = """
import sys, time
from manifests.run import lock
with lock.holding(sys.argv[1], print):
    print("held", flush=True)
    time.sleep(600)
"""


def held_by_another(folder: Path) -> subprocess.Popen[bytes]:
    """A process that holds the folder."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, folder], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    return process


def hold(folder: Path) -> None:
    with lock.holding(str(folder), print) as held:
        held.check()


def test_a_held_folder_is_refused_with_its_holder_until_the_holder_is_killed(
    tmp_path: Path,
) -> None:
    with held_by_another(tmp_path) as process:
        try:
            with pytest.raises(LockError, match=rf"holds this folder: process {process.pid} of"):
                hold(tmp_path)
        finally:
            process.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        hold(tmp_path)  # the process is a zombie until its parent has asked for its exit code
    assert not list(tmp_path.iterdir())


def test_the_check_of_a_replaced_holder_fails(tmp_path: Path) -> None:
    with lock.holding(str(tmp_path), print) as held:
        other = lock.Holder.this().model_copy(update={"pid": 1})
        (tmp_path / lock.NAME).write_text(other.model_dump_json())
        with pytest.raises(LockError, match="another run has taken over this folder"):
            held.check()
    assert (tmp_path / lock.NAME).exists()


def test_a_lock_that_is_gone_is_not_called_taken_over(tmp_path: Path) -> None:
    with lock.holding(str(tmp_path), print) as held:
        (tmp_path / lock.NAME).unlink()
        with pytest.raises(LockError, match="the lock file of this run was deleted or damaged"):
            held.check()


def test_the_lock_of_a_holder_that_died_on_another_machine_ends_after_a_while(
    tmp_path: Path,
) -> None:
    other = lock.Holder.this().model_copy(update={"machine": "another"})
    (tmp_path / lock.NAME).write_text(other.model_dump_json())
    with pytest.raises(LockError, match="If it was killed, its lock ends 120 seconds after"):
        hold(tmp_path)


def test_a_broken_lock_file_is_no_holder(tmp_path: Path) -> None:
    (tmp_path / lock.NAME).write_bytes(b"{")
    hold(tmp_path)
    assert not list(tmp_path.iterdir())


def test_object_storage_gives_a_note_and_no_lock() -> None:
    notes: list[str] = []
    with lock.holding("s3://bucket/out", notes.append) as held:
        held.check()
    [note] = notes
    assert "cannot be locked" in note
