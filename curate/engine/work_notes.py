"""Keeps a note on disk of the rows that a process is working on. If the process hangs and is ended,
or crashes, the process that repeats the work reads from the note which rows these were.

This module needs only the standard library, because `curate.supervisor` imports it."""

from __future__ import annotations

import faulthandler
import json
import mmap
import re
import signal
import threading
from pathlib import Path
from typing import NamedTuple

_NOTE_BYTES = 4096
"""The bytes for the name of the rows; the traceback follows them (our choice: one page)."""
_LIST = ".list"
"""The name ending of a file that lists all blocks of rows during which the process ended."""
_CRASH = re.compile(rb"^Fatal Python error: (.+)$", re.MULTILINE)
"""What faulthandler writes first at SIGSEGV, SIGABRT, SIGBUS, SIGILL and SIGFPE."""
STDERR = 2


class Block(NamedTuple):
    """Rows that a step processes in one call: `rows` rows, from the row number `start` in the file
    of records. For a reader, `start` is the number of the batch, and `rows` is 0."""

    step: str
    start: int
    rows: int


class Ended(NamedTuple):
    """A block of rows during which a process ended. `crash` is the name of the fault, such as
    `Segmentation fault`; it is empty if the process was ended because it hung."""

    block: Block
    crash: str


class Note:
    """A file whose first bytes name the rows that the process is working on.

    The file is mapped into memory, so its content is kept when the process ends. When a hanging
    process gets the signal SIGPROF from its timer, or a process crashes, faulthandler appends a
    traceback to the file, and then the signal ends the process. So a file with a traceback shows
    that the process hung or crashed. `attempt` identifies the inputs of the work and the limit.
    """

    def __init__(self, place: str, attempt: str) -> None:
        self._place, self._attempt = place, attempt
        Path(place).unlink(missing_ok=True)  # an ending process may still have the old file
        self._file = open(place, "w+b", buffering=0)  # noqa: SIM115
        self._file.write(bytes(_NOTE_BYTES))  # a hole in a file is SIGBUS when the disk is full
        self._map = mmap.mmap(self._file.fileno(), _NOTE_BYTES)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGPROF, signal.SIG_DFL)
        faulthandler.register(signal.SIGPROF, self._file, all_threads=True, chain=True)
        self._was_enabled = faulthandler.is_enabled()
        faulthandler.disable()  # otherwise, a handler that was installed later stays the first
        faulthandler.enable(self._file, all_threads=False)

    def begin(self, block: Block) -> None:
        """Name the rows that the process works on from now."""
        data = json.dumps([self._attempt, *block]).encode()[: _NOTE_BYTES - 1]
        self._map[: len(data) + 1] = data + b"\0"

    def end(self) -> None:
        """Name no rows: a crash from now is not caused by the rows of a call."""
        self._map[0] = 0

    def close(self) -> None:
        faulthandler.unregister(signal.SIGPROF)
        faulthandler.disable()
        if self._was_enabled:  # by Ray
            faulthandler.enable(STDERR, all_threads=False)
        self._map.close()
        self._file.close()

    def forget(self) -> None:
        """Delete the note and the list of earlier notes, because the work is complete."""
        for place in (self._place, self._place + _LIST):
            Path(place).unlink(missing_ok=True)


def names_rows(place: str) -> bool:
    """Returns whether a process ended while it worked on the rows that its note names."""
    return _read(place) is not None


def read_notes(place: str, attempt: str) -> tuple[list[Ended], bool]:
    """Returns the blocks of rows during which earlier attempts at the same work ended, in order,
    and whether the last block is new, which means that no attempt has read it before. `place` is
    the path of the note.

    Only notes of attempts with the name `attempt` are returned, because other attempts had other
    inputs or another limit.
    """
    kept = Path(place + _LIST)
    listed = json.loads(kept.read_bytes()) if kept.exists() else []
    new = _read(place)
    if new is not None:
        listed.append(new)
        written = Path(f"{kept}.tmp")
        written.write_text(json.dumps(listed))
        written.replace(kept)
        Path(place).unlink()
    found = [Ended(Block(*block), crash) for made_by, *block, crash in listed if made_by == attempt]
    return found, new is not None


def _read(place: str) -> list[str | int] | None:
    """Returns what the note at `place` states about a process that ended during its work: the name
    of the attempt; the step, the start and the number of the rows; and the name of the crash.
    Returns None if there is no note, or if the process did not end while it worked on rows."""
    try:
        data = Path(place).read_bytes()
    except FileNotFoundError:
        return None
    name, why = data[:_NOTE_BYTES].partition(b"\0")[0], data[_NOTE_BYTES:]
    if not name or not why:
        return None
    crash = _CRASH.search(why)
    return [*json.loads(name), crash[1].decode(errors="replace") if crash else ""]
