"""The lock of a run's folder: only one run at a time writes to a folder.

The file `run.lock` states who holds the folder. The holder renews its modification time, so that
runs on other machines see that it is alive. On the same machine, the process itself is looked for.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import orjson
from pydantic import BaseModel, ValidationError

from manifests import storage
from manifests.errors import LockError

NAME = "run.lock"
RENEW_SECONDS = 10.0
"""Seconds between two renewals of a lock (our choice)."""
DEAD_SECONDS = 120.0
"""A holder on another machine counts as dead after this many seconds without a renewal (our
choice): twelve renewals, because network file systems cache modification times for up to a
minute (nfs(5), acdirmax)."""


class Holder(BaseModel):
    """The process that holds a folder.

    `machine` identifies the machine since its last start, and the space of process ids on it;
    `started` is the start of the process in ticks of that machine, so that a reused `pid` is
    another holder.
    """

    host: str
    user: str
    pid: int
    started: int
    machine: str
    since: str

    @classmethod
    def this(cls) -> Holder:
        pid = os.getpid()
        since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
        try:
            user = getpass.getuser()
        except (KeyError, OSError):  # a container may have no name for its user
            user = str(os.getuid())
        return cls(
            host=socket.gethostname(), user=user, pid=pid, started=_started(pid) or 0,
            machine=_machine(), since=since,
        )  # fmt: skip

    def is_alive(self, silent_seconds: float) -> bool:
        """`silent_seconds` is the time since the lock was renewed."""
        if self.machine == _machine():
            return _started(self.pid) == self.started
        return silent_seconds < DEAD_SECONDS


def _machine() -> str:
    """The start of this machine, and the process ids that are seen here."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    with contextlib.suppress(OSError):
        return f"{boot.read_text().strip()} {os.readlink('/proc/self/ns/pid')}"
    return socket.gethostname()


def _started(pid: int) -> int | None:
    """When a process started, in ticks since the start of the machine; None if it has ended.

    0 where the system has no /proc, and the process exists.
    """
    if not Path("/proc/self/stat").exists():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return None
        except PermissionError:
            return 0
        return 0
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])  # a zombie has ended


class Lock:
    """The lock of a folder that this process holds; `place` is its file, "" if there is none."""

    def __init__(self, place: str, holder: Holder) -> None:
        self._place, self._holder = place, holder

    def check(self) -> None:
        """Raises LockError if another run has taken the folder over, because this process was
        suspended."""
        if self._place and _read(self._place) != self._holder:
            raise LockError(
                "another run has taken over this folder, because this run did not renew its lock "
                f"for {DEAD_SECONDS:g} seconds.",
                self._place,
                "Nothing is damaged. Wait until the other run ends, or name another folder with "
                "-o.",
            )


@contextlib.contextmanager
def holding(folder: str, note: Callable[[str], None]) -> Iterator[Lock]:
    """Hold a folder for the `with` block. Raises LockError at once if a living process holds it.

    Object storage has no operation for this in pyarrow: `note` is then called with a sentence that
    says so.
    """
    holder = Holder.this()
    if storage.is_remote(folder):
        note(
            f"{folder}: a folder on object storage cannot be locked. Make sure that no other run "
            "writes to it at the same time."
        )
        yield Lock("", holder)
        return
    place = storage.join(folder, NAME)
    _acquire(place, holder)
    ended = threading.Event()
    renewing = threading.Thread(target=_renew, args=(place, holder, ended), daemon=True)
    renewing.start()
    try:
        yield Lock(place, holder)
    finally:
        ended.set()
        renewing.join()
        _release(place, holder)


def _acquire(place: str, holder: Holder) -> None:
    with _exclusive(place) as file:
        known = _parse(file.read())
        if known and known.is_alive(_silent_seconds(place)):
            raise LockError(
                f"another run holds this folder: process {known.pid} of {known.user} on "
                f"{known.host}, since {known.since}.",
                os.path.dirname(place),
                "Wait until it ends, or name another folder with -o. The commands show, explain "
                "and verify need no lock.",
            )
        file.seek(0)
        file.truncate()
        file.write(orjson.dumps(holder.model_dump()))


def _silent_seconds(place: str) -> float:
    """The time since the lock was renewed, by the clock of the file system."""
    with tempfile.TemporaryFile(dir=os.path.dirname(place)) as now:
        return os.fstat(now.fileno()).st_mtime - os.stat(place).st_mtime


def _release(place: str, holder: Holder) -> None:
    with _exclusive(place) as file:
        if _parse(file.read()) == holder:
            os.remove(place)


def _renew(place: str, holder: Holder, ended: threading.Event) -> None:
    while not ended.wait(RENEW_SECONDS):
        with contextlib.suppress(OSError):
            if _read(place) == holder:
                os.utime(place)


@contextlib.contextmanager
def _exclusive(place: str) -> Iterator[IO[bytes]]:
    """Open the file of a lock; no other process has it open in this way at the same time.

    A file system without locks of files (`flock`) is used without one: two runs that start in the
    same millisecond can then both believe that they hold it.
    """
    import fcntl

    with storage.storage_errors(place):
        while True:
            with open(os.open(place, os.O_RDWR | os.O_CREAT, 0o644), "r+b") as file:
                with contextlib.suppress(OSError):
                    fcntl.flock(file, fcntl.LOCK_EX)
                if _is_at(file, place):  # else: its holder has just deleted it
                    yield file
                    return


def _is_at(file: IO[bytes], place: str) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file.fileno()), os.stat(place))
    return False


def _read(place: str) -> Holder | None:
    with contextlib.suppress(FileNotFoundError):
        return _parse(Path(place).read_bytes())
    return None


def _parse(data: bytes) -> Holder | None:
    """None if the file is empty or damaged: nobody holds the folder."""
    try:
        return Holder.model_validate_json(data)
    except ValidationError:
        return None
