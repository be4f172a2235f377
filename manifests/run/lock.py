"""The lock of a run's output folder: only one run at a time may write to a folder.

The file `run.lock` states which process holds the lock. This process renews the modification time
of the file, so that runs on other machines see that it is alive. A run on the same machine checks
whether the process exists.
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
    """The process that has locked a folder.

    `machine` identifies the last start of the machine, and the namespace of process ids in which
    `pid` is valid. `started` is when the process started, in clock ticks; a later process with the
    same `pid` has another value. `since` is when the process locked the folder, such as "2026-01-31
    12:00:00 UTC".
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
        """Returns whether the process that holds the lock still runs. A process on another machine
        counts as running if it has renewed the lock in the last DEAD_SECONDS. `silent_seconds`: the
        time since the lock was renewed."""
        if self.machine == _machine():
            return _started(self.pid) == self.started
        return silent_seconds < DEAD_SECONDS


def _machine() -> str:
    """Returns a text that identifies the last start of this machine, and the namespace of process
    ids that this process is in."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    with contextlib.suppress(OSError):
        return f"{boot.read_text().strip()} {os.readlink('/proc/self/ns/pid')}"
    return socket.gethostname()


def _started(pid: int) -> int | None:
    """Returns when a process started, in clock ticks since the start of the machine; None if the
    process has ended.

    On a system without /proc, the result is 0 for a process that exists.
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
    """A lock that this process holds on a folder. `place` is the path of the lock file; "" if the
    folder is on object storage, which cannot be locked."""

    def __init__(self, place: str, holder: Holder) -> None:
        self._place, self._holder = place, holder

    def check(self) -> None:
        """Raises LockError if another run has taken over the folder, or if the lock file is missing
        or damaged, so that another run could start. Another run takes over the folder if this
        process does not renew its lock, for example while the process is suspended."""
        holder = _read(self._place) if self._place else self._holder
        if holder is None:
            raise LockError(
                "the lock file of this run was deleted or damaged, so that another run may write "
                "to this folder.",
                self._place,
                "Run the same command again when no other run writes here: it continues.",
            )
        if holder != self._holder:
            raise LockError(
                "another run has taken over this folder, because this run did not renew its lock "
                f"for {DEAD_SECONDS:g} seconds.",
                self._place,
                "Nothing is damaged. Wait until the other run ends, or name another folder with "
                "-o.",
            )


@contextlib.contextmanager
def holding(folder: str, warn: Callable[[str], None]) -> Iterator[Lock]:
    """Locks a folder for the `with` block. Raises LockError at once if another process that still
    runs has locked it.

    A folder on object storage cannot be locked: `warn` is then called with a warning for the user.
    """
    holder = Holder.this()
    if storage.is_remote(folder):
        warn(
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
            is_here = known.machine == holder.machine
            dead = f" If it was killed, its lock ends {DEAD_SECONDS:g} seconds after."
            raise LockError(
                f"another run holds this folder: process {known.pid} of {known.user} on "
                f"{known.host}, since {known.since}.",
                os.path.dirname(place),
                f"Wait until it ends, or name another folder with -o.{'' if is_here else dead}",
            )
        file.seek(0)
        file.truncate()
        file.write(orjson.dumps(holder.model_dump()))


def _silent_seconds(place: str) -> float:
    """Returns the seconds since the lock was renewed, by the clock of the file system."""
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
    """Opens the lock file. Waits while another process has opened it through this function.

    On a file system without `flock`, two runs that start in the same millisecond can both open it,
    and both take the lock.
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
    """Returns the holder that a lock file states; None if the file is empty or damaged, which
    counts as not locked."""
    try:
        return Holder.model_validate_json(data)
    except ValidationError:
        return None
