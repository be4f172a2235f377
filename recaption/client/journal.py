"""The journal keeps every answer of an endpoint on disk before the answer is used.

A journal is a folder, which any number of runs may share. Each process appends to a file of its
own. Object storage cannot append, so the entries of a few seconds make one file there. Until it is
written, these entries are in a spool on the local disk.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from manifests import storage
from manifests.errors import StorageError, UnreadableError
from recaption.client.entries import (
    SUFFIX,
    Line,
    create_locked,
    encoded,
    intact,
    parsed,
    write_all,
)
from recaption.client.places import Place, Places
from recaption.client.spool import Spool, recover

FLUSH_SECONDS, FLUSH_ENTRIES = 5.0, 256
"""On object storage, a file is written after so many seconds, or so many entries (our choice)."""
SYNC_SECONDS = 1.0
"""Entries are flushed to the disk every so many seconds (our choice), and before a step uses the
replies. Then they survive a crash of the machine."""

OWN_PLACES = 1 << 14
"""If a process has written so many entries, their places are moved to the compact index, `Places`
(our choice)."""


class Journal:
    """Reads and writes the journal in `folder`. All methods may be called in several threads.

    If several files have an entry for a key, the first file decides, so that all later runs use the
    same reply. Entries that other processes add after the journal is opened are not seen. When the
    journal is opened, `known` is called with the entry of each reply; if `run` is given, only with
    the entries of the replies that this run paid for.
    """

    def __init__(
        self,
        folder: str,
        known: Callable[[dict[str, Any]], None] | None = None,
        run: str | None = None,
    ) -> None:
        self._folder, self._lock = folder, threading.Lock()
        self._own: dict[bytes, Place | bytes] = {}
        self._fd, self._uri, self._end, self._number = -1, "", 0, 0
        self._buffer: dict[bytes, bytes] = {}
        self._flushed, self._is_dirty = time.monotonic(), False
        self._hits = 0
        self._name = _new_name()
        storage.make_folder(folder)
        self._spool: Spool | None = None
        if storage.is_remote(folder):
            recover(folder)
        self._places = Places.of(folder, _calling(known, run))

    def __contains__(self, key: bytes) -> bool:
        return key in self._own or self._places.find(key) is not None

    def get(self, key: bytes) -> dict[str, Any] | None:
        """Returns the entry of a key; None if there is none, or if its line was damaged after the
        journal was opened."""
        place = self._place(key)
        try:
            line = _read(place)
        except UnreadableError:  # the file was compacted meanwhile
            with self._lock:  # one thread reads the journal again, and the others wait for it
                if self._place(key) == place:
                    self._places = Places.of(self._folder)
                    own = self._own.items()
                    self._own = {key: one for key, one in own if isinstance(one, bytes)}
            line = _read(self._place(key))
        data = None if line is None else intact(line)
        entry = None if data is None else parsed(data)
        if entry is not None:
            with self._lock:
                self._hits += 1
        return entry

    def _place(self, key: bytes) -> Place | bytes | None:
        """Returns where the line of a key is, or the line itself if it is not uploaded yet."""
        return self._own.get(key) or self._places.find(key)

    def add(self, key: bytes, status: int, body: str, about: dict[str, Any]) -> None:
        """Write the answer to a request. `about` has further fields of the entry, such as the model
        and the cost."""
        entry = {"v": 1, "key": key.hex(), "at": time.time(), "status": status, **about}
        line = encoded({**entry, "body": body})
        with self._lock:
            self._write(key, line)
            if time.monotonic() - self._flushed >= self._seconds:
                self._sync()

    def sync(self, about: Mapping[str, Any] = MappingProxyType({})) -> None:
        """Write how often this process found a reply in the journal since the last call, together
        with the fields `about`. Then flush all entries to the disk, or to object storage."""
        with self._lock:
            if self._hits or any(about[n] for n in about if n.startswith("saved")):
                counts = {"v": 1, "at": time.time(), "hits": self._hits}
                self._write(b"", encoded({**counts, **about}))
                self._hits = 0
            self._sync()

    def close(self) -> None:
        """Flush all entries, and close the file. An entry that is added later, by a thread that
        was not waited for, is written to a new file."""
        with self._lock:
            try:
                self._sync()
            finally:
                if self._fd >= 0:
                    os.close(self._fd)
                if self._spool:
                    self._spool.close()
                self._fd, self._end, self._number, self._spool = -1, 0, 0, None
                self._name = _new_name()

    @property
    def _seconds(self) -> float:
        return FLUSH_SECONDS if storage.is_remote(self._folder) else SYNC_SECONDS

    def _write(self, key: bytes, line: bytes) -> None:
        self._is_dirty = True
        if storage.is_remote(self._folder):
            self._buffer[key] = self._own[key] = line  # uploaded even if the local disk is full
            self._spool = self._spool or Spool(self._folder, self._name)
            self._spool.write(line)
            if len(self._buffer) >= FLUSH_ENTRIES:
                self._sync()
            return
        if self._fd < 0:
            self._begin()
        with storage.storage_errors(self._uri):
            write_all(self._fd, line)
        self._own[key] = Place(self._uri, self._end, len(line))
        self._end += len(line)

    def _begin(self) -> None:
        self._uri = storage.join(self._folder, self._name + SUFFIX)
        self._fd = create_locked(self._uri)

    def _sync(self) -> None:
        self._flushed = time.monotonic()
        if not self._is_dirty:
            return
        if self._buffer:
            self._upload()
        elif self._fd >= 0:
            with storage.storage_errors(self._uri):
                os.fsync(self._fd)
            self._check_file()
        self._is_dirty = False
        if len(self._own) >= OWN_PLACES:  # all of them are written now
            own = self._own.items()
            places = {key: one for key, one in own if key and isinstance(one, Place)}
            self._places = self._places.joined(places)
            self._own = {}

    def _check_file(self) -> None:
        """Raises StorageError if the file that this process writes was deleted, or was changed by
        another process. Without this check, the next replies would be lost too."""
        now = os.fstat(self._fd)
        if now.st_nlink and now.st_size == self._end:
            return
        what = "changed" if now.st_nlink else "deleted"
        fault = f"this file of the journal was {what} while the run wrote its replies to it"
        fix = "Put back a copy if there is one, and run the same command again."
        raise StorageError(fault, self._uri, fix)

    def _upload(self) -> None:
        """Write the buffered entries to a new file on object storage."""
        uri = storage.join(self._folder, f"{self._name}-{self._number:05d}{SUFFIX}")
        storage.write_bytes(uri, b"".join(self._buffer.values()))
        start = 0
        for key, line in self._buffer.items():
            self._own[key] = Place(uri, start, len(line))
            start += len(line)
        self._number += 1
        self._buffer = {}
        if self._spool:
            self._spool.clear()


def _calling(
    known: Callable[[dict[str, Any]], None] | None, run: str | None
) -> Callable[[Line], None]:
    """Returns a function that calls `known` with the entry of a line. If `run` is given, the
    function calls `known` only for replies that this run paid for, and only once for each reply:
    while a journal is compacted, a reply may be in two files."""
    seen = set[bytes | None]()

    def call(line: Line) -> None:
        if not known or not line.data or (run is not None and run.encode() not in line.data):
            return
        if run is None or line.key not in seen:
            seen.add(line.key if run is not None else None)
            if entry := line.entry:
                known(entry)

    return call


def _new_name() -> str:
    return f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(6)}"


def _read(place: Place | bytes | None) -> bytes | None:
    if not isinstance(place, Place):
        return place
    if storage.is_remote(place.uri):
        with storage.open_file(place.uri) as file:
            return bytes(file.read_at(place.size, place.start))
    with storage.storage_errors(place.uri), open(place.uri, "rb") as local:
        return os.pread(local.fileno(), place.size, place.start)
