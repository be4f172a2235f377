"""Notes on disk of the rows that a process works on. If the process is ended because it hangs, the
process that repeats the work reads from them which rows were the last."""

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
    """Rows of a part that a step processes in one call: `rows` rows, from the row number `start`.
    For a reader, `start` is the number of the batch, and `rows` is 0."""

    step: str
    start: int
    rows: int


class Note:
    """The file that names, in its first bytes, the rows that the process works on.

    It is mapped into memory, so its content is kept when the process is ended. At SIGPROF,
    faulthandler adds the traceback of each thread, which shows that the timer ended the process,
    and then the signal ends it. `attempt` identifies the inputs of the part and the limit.
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
        """Delete the notes about a part, because the part is complete."""
        storage.delete(self._place)
        storage.delete(self._place + _LIST)


def place_of(folder: str, part: str) -> str:
    """Returns the path of the note about a part: in the folder of the part, or on the disk of this
    machine if that folder is on object storage."""
    if not storage.is_remote(folder):
        return storage.join(folder, f".{part}.work")
    name = fingerprint([folder, part])
    return os.path.join(tempfile.gettempdir(), f".curate-{os.getuid()}-{name}.work")


def read_notes(place: str, attempt: str) -> set[Block]:
    """Returns the blocks of rows on which earlier attempts at a part hung, so that the process was
    ended. `place` is the path of the part's note.

    Notes of attempts with another name than `attempt` are left out: their inputs or limits differ.
    """
    listed: list[Any] = []
    if storage.size_and_stamp(place + _LIST):
        listed = json.loads(storage.read_bytes(place + _LIST))
    found = storage.size_and_stamp(place)
    if found and found[0] > _NOTE_BYTES:
        listed.append(json.loads(storage.read_bytes(place)[:_NOTE_BYTES].partition(b"\0")[0]))
        storage.write_bytes(place + _LIST, json.dumps(listed).encode())
    return {Block(*block) for made_by, *block in listed if made_by == attempt}
