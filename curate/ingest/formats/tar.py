"""Where the members of a tar lie: name, offset and size of every file, from the headers alone.

Formats: ustar and pax (POSIX.1-2024, `pax`), GNU tar 1.35 (long names, base-256 sizes), V7.
Nothing is unpacked; a header costs some microseconds, and a broken one costs no member before it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, NamedTuple

from curate.ingest.formats.tar_header import (
    BLOCK,
    BrokenError,
    Said,
    extended,
    sum_agrees,
    told_name,
    told_size,
)
from manifests import storage
from manifests.errors import FileError, RowError

BLOCK_BYTES = 4 << 20
"""Bytes asked for at once from a remote file (ours: a request's latency hides behind them)."""
_MAX_BLOCKS = 4
_MAX_EXTENDED_BYTES = 1 << 20
"""Longest extended header believed (ours): it holds names, and names are short."""
_MAX_PADDING_BYTES = 1 << 20
"""Most zeros after the end marker (ours): GNU tar pads to 10 KiB, tapes to some hundred."""


class Member(NamedTuple):
    """A regular file in a tar: its headers start at `start`, its data at `offset`; in bytes."""

    name: str
    offset: int
    size: int
    start: int


class Fault(NamedTuple):
    """A member that cannot be given. No name: the tar breaks off before one could be read."""

    name: str | None
    start: int
    error: RowError


class BlockCache:
    """A remote file by position, fetched in aligned stretches of which the last few are held."""

    def __init__(self, file: Any, uri: str = "", stretch_bytes: int = BLOCK_BYTES) -> None:
        self._file, self._size, self._uri = file, file.size(), uri
        self._stretch_bytes = stretch_bytes
        self._held: OrderedDict[int, memoryview] = OrderedDict()

    def __len__(self) -> int:
        return int(self._size)

    def __getitem__(self, span: slice) -> memoryview:
        start, stop, _ = span.indices(self._size)
        number = start // self._stretch_bytes
        first = number * self._stretch_bytes
        if stop <= first + self._stretch_bytes:
            return self._stretch(number)[start - first : stop - first]
        return self._fetched(start, stop - start)

    def _stretch(self, number: int) -> memoryview:
        if number not in self._held:
            start = number * self._stretch_bytes
            self._held[number] = self._fetched(start, self._stretch_bytes)
            if len(self._held) > _MAX_BLOCKS:
                self._held.popitem(last=False)
        return self._held[number]

    def _fetched(self, start: int, length: int) -> memoryview:
        with storage.storage_errors(self._uri):
            return memoryview(self._file.read_at(length, start))


Source = memoryview | BlockCache


def open_tar(uri: str) -> Source:
    """A tar by position, memory-mapped where it is local. FileError where it is no tar."""
    file = storage.open_input(uri)
    source = (
        BlockCache(file, uri)
        if storage.is_remote(uri)
        else memoryview(file.read_buffer()).cast("B")
    )
    head = bytes(source[:BLOCK])
    if not is_tar(head):
        raise FileError(_not_a_tar(head), uri, "Name tars that are not compressed.")
    return source


def is_tar(head: bytes) -> bool:
    """Whether a file's first 512 bytes or more start a tar."""
    header = head[:BLOCK]
    return len(header) == BLOCK and (sum_agrees(header) or not any(header))


def _not_a_tar(head: bytes) -> str:
    if not head:
        return "not a tar: the file is empty."
    for name, magic in {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd", "bzip2": b"BZh"}.items():
        if head.startswith(magic):
            return f"a tar inside {name}: what is in it has no place to refer to."
    return f"not a tar: it starts with {head[:8]!r}."


def members(source: Source, start: int = 0, stop: int = -1) -> Iterator[Member | Fault]:
    """The files whose headers start in `start` to `stop`: a Fault where one cannot be given.

    It never raises: a tar that breaks off gives every whole member first, and a Fault last.
    """
    at, end = start, len(source)
    while stop < 0 or at < stop:
        header = bytes(source[at : at + BLOCK])
        try:
            if not header[:1].strip(b"\0") and _ends(source, header, at):
                return
            found, after = _member(source, header, at, end)
        except BrokenError as broken:
            yield Fault(broken.name, at, RowError(broken.fault, "", _FETCH_AGAIN))
            return
        if found is not None:
            yield found
        at = after


_FETCH_AGAIN = "Fetch or pack the tar again."
_PLAIN = ord("0")
_FILES = frozenset(b"0\x007")
_EXTENDED = frozenset(b"xXgLK")
_LINKS = frozenset(b"12")
_NO_DATA = frozenset(b"123456")
_SPARSE = ord("S")


def _member(
    source: Source, header: bytes, start: int, end: int
) -> tuple[Member | Fault | None, int]:
    """The member whose headers begin at `start`, null if no file, and where the next begins."""
    at, size = start, told_size(header, start)
    if header[156] == _PLAIN:  # nearly all are: the rest of this function is for the others
        name, offset = told_name(header), start + BLOCK
        if offset + size <= end:
            return Member(name, offset, size, start), offset + size + (-size & 511)
    said = Said()
    while header[156] in _EXTENDED:
        said = _heard(source, header, at, size, said)
        at += BLOCK + size + (-size & 511)
        header = bytes(source[at : at + BLOCK])
        size = told_size(header, at)
    name, size = said.name or told_name(header), size if said.size is None else said.size
    if header[156] not in _FILES or said.sparse or name.endswith("/"):
        return _no_file(source, header, start, at, name, size)
    offset = at + BLOCK
    if offset + size > end:
        there = max(0, end - offset)
        raise BrokenError(f"the tar breaks off: {there} of {size} bytes of {name!r}.", name)
    return Member(name, offset, size, start), offset + size + (-size & 511)


def _no_file(
    source: Source, header: bytes, start: int, at: int, name: str, size: int
) -> tuple[Fault | None, int]:
    """Links and sparse files are answered; folders, devices and the like hold nothing."""
    kind, after = header[156], at + BLOCK
    if kind == _SPARSE:
        after = _after_sparse_map(source, header, after)
    if kind not in _NO_DATA:
        after += size + (-size & 511)
    if kind in _LINKS:
        to = header[157:257].partition(b"\0")[0].decode("utf-8", "backslashreplace")
        fault = f"is a link to {to!r}, and has no bytes of its own."
        return _without_bytes(name, start, fault), after
    if kind == _SPARSE or (kind in _FILES and not name.endswith("/")):
        return _without_bytes(name, start, "is stored with its holes left out (sparse)."), after
    return None, after


def _without_bytes(name: str, start: int, fault: str) -> Fault:
    fix = "Pack the tar again with --dereference --hard-dereference and without --sparse."
    return Fault(name, start, RowError(f"{name!r} {fault}", "", fix))


def _after_sparse_map(source: Source, header: bytes, at: int) -> int:
    more = header[482]
    while more:
        block = bytes(source[at : at + BLOCK])
        if len(block) < BLOCK:
            raise BrokenError(f"the tar breaks off at byte {len(source)}, inside a sparse map.")
        more, at = block[504], at + BLOCK
    return at


def _ends(source: Source, header: bytes, at: int) -> bool:
    """Whether this is the end marker; BrokenError where the tar ends without one, or goes on."""
    if not header:
        raise BrokenError(f"the tar ends at byte {at} without an end marker: it may be cut.")
    if any(header):
        return False
    left = len(source) - at
    if left > _MAX_PADDING_BYTES or any(bytes(source[at : at + left])):
        raise BrokenError(f"{left} bytes follow the end marker at byte {at}.")
    return True


def _heard(source: Source, header: bytes, at: int, size: int, said: Said) -> Said:
    kind, start = header[156:157], at + BLOCK
    if size > _MAX_EXTENDED_BYTES:
        raise BrokenError(f"the extended header at byte {at} says it has {size} bytes.")
    body = bytes(source[start : start + size])
    if len(body) < size:
        raise BrokenError(f"the tar breaks off at byte {len(source)}, inside a long name.")
    try:
        return extended(kind, body, said)
    except ValueError:
        raise BrokenError(f"the extended header at byte {at} is broken: {body[:32]!r}.") from None
