"""Keeps a note on disk of the rows that a process is working on. If the process hangs and is ended,
the process that repeats the work reads from the note on which rows the first process hung."""

from __future__ import annotations

import faulthandler
import json
import mmap
import os
import signal
import tempfile
import threading
from typing import Any, NamedTuple

from manifests import storage
from manifests.run.fingerprint import fingerprint

_NOTE_BYTES = 4096
"""The bytes for the name of the rows; the traceback follows them (our choice: one page)."""
_LIST = "s"
"""The name ending of a file that lists all blocks of rows during which the process was ended
because it hung."""


class Block(NamedTuple):
    """Rows that a step processes in one call: `rows` rows, from the row number `start` in the file
    of records. For a reader, `start` is the number of the batch, and `rows` is 0."""

    step: str
    start: int
    rows: int


class Note:
    """A file whose first bytes name the rows that the process is working on.

    The file is mapped into memory, so its content is kept when the process is ended. When a hanging
    process gets the signal SIGPROF from its timer, faulthandler appends the traceback of each
    thread to the file, and then the signal ends the process. So a file with a traceback shows that
    the process hung. `attempt` identifies the inputs of the work and the time limit.
    """

    def __init__(self, place: str, attempt: str) -> None:
        self._place, self._attempt = place, attempt
        storage.delete(place)  # a process that is about to end may still have the old file
        self._file = open(place, "w+b", buffering=0)  # noqa: SIM115
        self._file.truncate(_NOTE_BYTES)
        self._map = mmap.mmap(self._file.fileno(), _NOTE_BYTES)
        self._file.seek(0, os.SEEK_END)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGPROF, signal.SIG_DFL)
        faulthandler.register(signal.SIGPROF, self._file, all_threads=True, chain=True)

    def begin(self, block: Block) -> None:
        data = json.dumps([self._attempt, *block]).encode()[: _NOTE_BYTES - 1]
        self._map[: len(data) + 1] = data + b"\0"

    def close(self) -> None:
        faulthandler.unregister(signal.SIGPROF)
        self._map.close()
        self._file.close()

    def forget(self) -> None:
        """Delete the note and the list of earlier notes, because the work is complete."""
        storage.delete(self._place)
        storage.delete(self._place + _LIST)


def place_of(folder: str, part: str) -> str:
    """Returns the path of the note about the work on `part`: in `folder`, or on the disk of this
    machine if `folder` is on object storage."""
    if not storage.is_remote(folder):
        return storage.join(folder, f".{part}.work")
    name = fingerprint([folder, part])
    return os.path.join(tempfile.gettempdir(), f".curate-{os.getuid()}-{name}.work")


def read_notes(place: str, attempt: str) -> set[Block]:
    """Returns the blocks of rows on which earlier attempts at the same work hung. `place` is the
    path of the note.

    Only notes of attempts with the name `attempt` are used, because other attempts had other inputs
    or another time limit.
    """
    listed: list[Any] = []
    if storage.size_and_stamp(place + _LIST):
        listed = json.loads(storage.read_bytes(place + _LIST))
    found = storage.size_and_stamp(place)
    if found and found[0] > _NOTE_BYTES:
        listed.append(json.loads(storage.read_bytes(place)[:_NOTE_BYTES].partition(b"\0")[0]))
        storage.write_bytes(place + _LIST, json.dumps(listed).encode())
    return {Block(*block) for made_by, *block in listed if made_by == attempt}
