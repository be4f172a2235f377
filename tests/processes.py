"""Runs in processes of their own, which are found and killed by a mark."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

from tests.runs import environment


@contextlib.contextmanager
def running(
    base: Path,
    *arguments: str,
    mark: str = "",
    stderr: int = subprocess.DEVNULL,
    **variables: str,
) -> Iterator[subprocess.Popen[bytes]]:
    """The driver of `curate run ...`, typed in the folder `base`; at the end of the block, all
    processes of the run that are left are killed."""
    mark = mark or uuid.uuid4().hex
    driver = subprocess.Popen(
        [sys.executable, "-m", "curate", "run", *arguments],
        cwd=base,
        env=environment(CURATE_TEST_MARK=mark, **variables),
        stdout=subprocess.DEVNULL,
        stderr=stderr,
    )
    try:
        yield driver
    finally:
        for pid in marked_processes(mark):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        driver.communicate(timeout=30)


def marked_processes(mark: str) -> list[int]:
    """The ids of all processes of a run, found by an environment variable that they inherited."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and mark.encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
    return found
