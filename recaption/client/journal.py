"""The journal: every answer of an endpoint, on disk before it is used.

A journal is a folder, which any number of runs may share. Each process that writes has a file of
its own, and only appends to it. An entry is one line: the number of bytes of its JSON and their
XXH3 digest, both in hex, then the JSON.

    000001c2 9f8ad0c2f1e3b765 {"v":1,"key":"4be1...","at":1767225600.5,"status":200,"body":"..."}

So a line that a killed process left incomplete, or whose bits were damaged, is found, and all other
lines are used. On object storage, which cannot append, the entries of a few seconds make one file.
"""

from __future__ import annotations

import io
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import orjson
import xxhash

from manifests import storage
from manifests.errors import ManifestError

SUFFIX = ".replies"
FLUSH_SECONDS, FLUSH_ENTRIES = 5.0, 256
"""On object storage, a file is written after so many seconds or entries (our choice)."""
SYNC_SECONDS = 1.0
"""Seconds after which entries are flushed to the disk, so that they survive a crash of the machine
(our choice). Before a step uses its replies, they are flushed in any case."""
_HEAD = 8 + 1 + 16 + 1
_KEY = re.compile("[0-9a-f]{32}")


class Line(NamedTuple):
    """A line of a journal file: its place, and its JSON. `entry` is None if it is damaged."""

    start: int
    size: int
    entry: dict[str, Any] | None


class _Place(NamedTuple):
    uri: str
    start: int
    size: int


def encoded(entry: dict[str, Any]) -> bytes:
    data = orjson.dumps(entry)
    return b"%08x %016x %b\n" % (len(data), xxhash.xxh3_64_intdigest(data), data)


def decoded(line: bytes) -> dict[str, Any] | None:
    """Returns the entry of a line, None if the line is damaged."""
    data = line[_HEAD:-1]
    if not line.endswith(b"\n") or encoded_head(data) != line[:_HEAD]:
        return None
    try:
        entry = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return entry if isinstance(entry, dict) and _is_entry(entry) else None


def _is_entry(found: dict[str, Any]) -> bool:
    """Whether the fields that are used have their types: those of a reply, or of counts."""
    if "key" not in found:
        return all(type(found.get(name)) is int for name in ("asked", "hits"))
    numbers = (found.get(name) for name in ("input_tokens", "output_tokens", "money"))
    has_reply = type(found.get("body")) is str and _KEY.fullmatch(str(found["key"]))
    return bool(has_reply) and all(n is None or type(n) in (int, float) for n in numbers)


def encoded_head(data: bytes) -> bytes:
    return b"%08x %016x " % (len(data), xxhash.xxh3_64_intdigest(data))


def lines(uri: str) -> Iterator[Line]:
    """Yields the lines of a journal file."""
    with storage.open_file(uri) as native, io.BufferedReader(native, 1 << 20) as file:
        start = 0
        for line in file:
            yield Line(start, len(line), decoded(line))
            start += len(line)


def files(folder: str) -> list[str]:
    """Returns the files of a journal, in the order in which they were begun."""
    return [storage.join(folder, n) for n in storage.names(folder) if n.endswith(SUFFIX)]


def damage(folder: str) -> list[str]:
    """Returns a sentence for each line of a journal that cannot be used."""
    return [
        damaged(uri, line.start, line.size)
        for uri in files(folder)
        for line in lines(uri)
        if line.entry is None
    ]


def damaged(name: str, start: int, size: int) -> str:
    """Names a line that cannot be used."""
    return f"{name}: {size} bytes at byte {start} are no complete entry; all others are used."


class Journal:
    """Reads and writes the journal in `folder`. All methods may be called in several threads.

    If several files have an entry for a key, the first file decides, so that all later runs use the
    same reply. Entries that other processes write meanwhile are not seen. `known` is called with
    every entry that is there.
    """

    def __init__(self, folder: str, known: Callable[[dict[str, Any]], None] | None = None) -> None:
        self._folder, self._lock = folder, threading.Lock()
        self._index: dict[bytes, _Place | bytes] = {}
        self._fd, self._uri, self._end, self._number = -1, "", 0, 0
        self._buffer: dict[bytes, bytes] = {}
        self._flushed, self._is_dirty = time.monotonic(), False
        self._asked = self._hits = 0
        self._name = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(6)}"
        self._known = known or (lambda entry: None)
        storage.make_folder(folder)
        for uri in files(folder):
            self._add(uri)

    def __contains__(self, key: bytes) -> bool:
        return key in self._index

    def get(self, key: bytes) -> dict[str, Any]:
        """Returns the entry of a key. Raises ManifestError if its line was damaged after the
        journal was opened."""
        with self._lock:
            self._hits += 1
            place = self._index[key]
        line = place if isinstance(place, bytes) else _line(place)
        entry = decoded(line)
        if entry is None:
            where = place.uri if isinstance(place, _Place) else self._folder
            raise ManifestError("an entry of the journal was changed while it was used", where)
        return entry

    def add(self, key: bytes, status: int, body: str, about: dict[str, Any]) -> None:
        """Write the answer to a request. `about` states what was asked, for people."""
        entry = {"v": 1, "key": key.hex(), "at": time.time(), "status": status, **about}
        line = encoded({**entry, "body": body})
        with self._lock:
            self._asked += 1
            self._write(key, line)
            if time.monotonic() - self._flushed >= self._seconds:
                self._sync()

    def sync(self, about: Mapping[str, Any] = MappingProxyType({})) -> None:
        """Write how often this process asked, and how often it found a reply, since the last time;
        `about` states more about it. Then flush all entries to the disk, or to object storage."""
        with self._lock:
            if self._asked or self._hits or any(about[n] for n in about if n.startswith("saved")):
                counts = {"v": 1, "at": time.time(), "asked": self._asked, "hits": self._hits}
                self._write(b"", encoded({**counts, **about}))
                self._asked = self._hits = 0
            self._sync()

    def close(self) -> None:
        """Flush all entries, then end the file."""
        with self._lock:
            self._sync()
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1

    @property
    def _seconds(self) -> float:
        return FLUSH_SECONDS if storage.is_remote(self._folder) else SYNC_SECONDS

    def _add(self, uri: str) -> None:
        for line in lines(uri):
            if line.entry and "key" in line.entry:
                key = bytes.fromhex(line.entry["key"])
                self._index.setdefault(key, _Place(uri, line.start, line.size))
                self._known(line.entry)

    def _write(self, key: bytes, line: bytes) -> None:
        self._is_dirty = True
        if storage.is_remote(self._folder):
            self._buffer[key] = self._index[key] = line
            if len(self._buffer) >= FLUSH_ENTRIES:
                self._sync()
            return
        if self._fd < 0:
            self._begin()
        with storage.storage_errors(self._uri):
            self._append(line)
        self._index[key] = _Place(self._uri, self._end, len(line))
        self._end += len(line)

    def _append(self, line: bytes) -> None:
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError:  # the next line must not follow a part of this one
            os.ftruncate(self._fd, self._end)
            raise

    def _begin(self) -> None:
        self._uri = storage.join(self._folder, self._name + SUFFIX)
        with storage.storage_errors(self._uri):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
            self._fd = os.open(self._uri, flags, 0o644)
            folder = os.open(self._folder, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)

    def _sync(self) -> None:
        self._flushed = time.monotonic()
        if not self._is_dirty:
            return
        if self._buffer:
            self._upload()
        elif self._fd >= 0:
            with storage.storage_errors(self._uri):
                os.fsync(self._fd)
        self._is_dirty = False

    def _upload(self) -> None:
        """Write the buffered entries to a file of their own."""
        uri = storage.join(self._folder, f"{self._name}-{self._number:05d}{SUFFIX}")
        storage.write_bytes(uri, b"".join(self._buffer.values()))
        start = 0
        for key, line in self._buffer.items():
            self._index[key] = _Place(uri, start, len(line))
            start += len(line)
        self._number += 1
        self._buffer = {}


def _line(place: _Place) -> bytes:
    if storage.is_remote(place.uri):
        with storage.open_file(place.uri) as file:
            return bytes(file.read_at(place.size, place.start))
    with storage.storage_errors(place.uri), open(place.uri, "rb") as local:
        return os.pread(local.fileno(), place.size, place.start)
