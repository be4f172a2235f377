"""Lists the files in a tar from its headers alone: the name, offset and size of each file.

Supported formats: ustar and pax (POSIX.1-2024, `pax`), GNU tar 1.35 (long names, base-256 sizes),
V7. Nothing is unpacked. All members before a broken header are yielded, then the broken header is
reported.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from curate.ingest.formats.random_access import Source, open_source, window_at
from curate.ingest.formats.tar_header import (
    BLOCK,
    BrokenError,
    Extension,
    extend,
    name_of,
    size_of,
    sum_agrees,
)
from curate.ingest.reader import Count
from manifests.errors import FileError, RowError

_MAX_EXTENDED_BYTES = 1 << 20
"""Largest size of an extended header (our choice): it has names, and names are short."""
_MAX_PADDING_BYTES = 1 << 20
"""Largest number of zero bytes from the end marker on (our choice): GNU tar pads to 10 KiB, tapes
to some hundred KiB."""


class Member(NamedTuple):
    """A regular file in a tar. The headers of the file begin at the byte position `start`, and its
    data begins at `offset`."""

    name: str
    offset: int
    size: int
    start: int


class Fault(NamedTuple):
    """A member of a tar that cannot be read. Its headers begin at the byte position `start`. The
    name is None if the tar ends before the member's name."""

    name: str | None
    start: int
    error: RowError


@dataclass
class Walked:
    """Counts of the tar members that were read so far. `members` is the number of members of any
    type, and `left_aside` the number of members that are not files, by type. `is_whole` is false if
    the tar cannot be read to its end."""

    members: int = 0
    left_aside: Counter[str] = field(default_factory=Counter)
    is_whole: bool = True


def open_tar(uri: str) -> Source:
    """Opens a tar so that its bytes can be sliced by position. Raises FileError if the file is not
    a tar."""
    source = open_source(uri)
    head = bytes(source[:BLOCK])
    if not is_tar(head):
        raise FileError(
            _not_a_tar(head), uri, "Set the path of the source to tars that are not compressed."
        )
    return source


def is_tar(head: bytes) -> bool:
    """Whether a file is a tar. `head` is the start of the file and has at least 512 bytes."""
    header = head[:BLOCK]
    return len(header) == BLOCK and (sum_agrees(header) or not any(header))


def _not_a_tar(head: bytes) -> str:
    if not head:
        return "the file is not a tar: it is empty."
    for name, magic in {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd", "bzip2": b"BZh"}.items():
        if head.startswith(magic):
            return f"the tar is compressed with {name}: a record cannot refer to byte ranges in it."
    return f"the file is not a tar: it starts with {head[:8]!r}."


def members(
    source: Source, start: int = 0, stop: int = -1, walked: Walked | None = None
) -> Iterator[Member | Fault]:
    """Yields the files of a tar whose headers begin at `start` or later and before `stop` (-1: the
    end of the tar), in order. Members of all types are counted in `walked`.

    A file that cannot be read is yielded as a Fault; no error is raised. If the tar ends too early,
    all complete members are yielded before the Fault.
    """
    walked = Walked() if walked is None else walked
    window: bytes | memoryview = b""
    at, end, first = start, len(source), 0
    while stop < 0 or at < stop:
        header = bytes(window[at - first : at - first + BLOCK])
        if len(header) < BLOCK:
            window, first, _ = window_at(source, at)
            header = bytes(window[at - first : at - first + BLOCK])
        try:
            if not header[:1].strip(b"\0") and _ends(source, header, at):
                return
            found, after = _member(source, header, at, end)
        except BrokenError as broken:
            walked.members += broken.name is not None
            walked.is_whole = False
            yield Fault(broken.name, at, RowError(broken.fault, "", _FETCH_AGAIN))
            return
        walked.members += 1
        if isinstance(found, str):
            walked.left_aside[found] += 1
        else:
            yield found
        at = after


def count_members(source: Source, start: int = 0, stop: int = -1) -> Count:
    """Returns the number of members of a tar (files, links, folders and devices), which is counted
    from the headers alone."""
    walked = Walked()
    for _ in members(source, start, stop, walked):
        pass
    return count_of(walked)


def count_of(walked: Walked) -> Count:
    return Count("members", walked.members, walked.left_aside, walked.is_whole)


_FETCH_AGAIN = "Download or create the tar again."
_PLAIN = ord("0")
_FILES = frozenset(b"0\x007")
_EXTENDED = frozenset(b"xXgLK")
_LINKS = frozenset(b"12")
_NO_DATA = frozenset(b"123456")
_SPARSE = ord("S")


def _member(
    source: Source, header: bytes, start: int, end: int
) -> tuple[Member | Fault | str, int]:
    """Reads the member whose headers begin at `start`. `header` is the first of these headers, and
    `end` is the end of the tar.

    Returns the member and the position of the next member's headers. A link or a sparse file is
    returned as a Fault. A member of another type, such as a folder or a device, is returned as the
    name of the type.
    """
    at, size = start, size_of(header, start)
    if header[156] == _PLAIN:  # nearly all members; the code below handles other types
        name, offset = name_of(header), start + BLOCK
        if offset + size <= end:
            return Member(name, offset, size, start), offset + size + (-size & 511)
    extension = Extension()
    while header[156] in _EXTENDED:
        extension = _extended(source, header, at, size, extension)
        at += BLOCK + size + (-size & 511)
        header = bytes(source[at : at + BLOCK])
        size = size_of(header, at)
    name = extension.name or name_of(header)
    size = size if extension.size is None else extension.size
    if header[156] not in _FILES or extension.is_sparse or name.endswith("/"):
        return _no_file(source, header, start, at, name, size)
    offset = at + BLOCK
    if offset + size > end:
        there = max(0, end - offset)
        fault = f"the tar ends too early: it has {there} of {size} bytes of {name!r}."
        raise BrokenError(fault, name)
    return Member(name, offset, size, start), offset + size + (-size & 511)


def _no_file(
    source: Source, header: bytes, start: int, at: int, name: str, size: int
) -> tuple[Fault | str, int]:
    """Handles a member that is not a regular file. The headers of the member begin at `start`;
    `header` is the last of these headers, at position `at`.

    Returns a Fault for a link or a sparse file, and the name of the type, such as `folder`, for any
    other member. The second value is the position of the next member's headers.
    """
    kind, after = header[156], at + BLOCK
    if kind == _SPARSE:
        after = _after_sparse_map(source, header, after)
    if kind not in _NO_DATA:
        after += size + (-size & 511)
    if kind in _LINKS:
        to = header[157:257].partition(b"\0")[0].decode("utf-8", "backslashreplace")
        fault = f"is a link to {to!r}, and has no bytes of its own."
        return _fault_without_bytes(name, start, fault), after
    if kind == _SPARSE or (kind in _FILES and not name.endswith("/")):
        return _fault_without_bytes(
            name, start, "is a sparse file: the tar does not store its zero bytes."
        ), after
    return _TYPES.get(kind, "folder" if kind in _FILES else "member of unknown type"), after


_TYPES = {51: "device", 52: "device", 53: "folder", 54: "FIFO"}
"""Names of the types of members that are not files, by the type byte of the header: `3`, `4`, `5`
or `6`."""


def _fault_without_bytes(name: str, start: int, fault: str) -> Fault:
    fix = "Create the tar again with --dereference --hard-dereference and without --sparse."
    return Fault(name, start, RowError(f"{name!r} {fault}", "", fix))


def _after_sparse_map(source: Source, header: bytes, at: int) -> int:
    more = header[482]
    while more:
        block = bytes(source[at : at + BLOCK])
        if len(block) < BLOCK:
            raise BrokenError(
                f"the tar ends too early, at byte {len(source)}, inside the map of a sparse file."
            )
        more, at = block[504], at + BLOCK
    return at


def _ends(source: Source, header: bytes, at: int) -> bool:
    """Whether the header at position `at` is the end marker of the tar. Raises BrokenError if the
    file ends without an end marker, if any byte after the marker is not zero, or if the marker and
    the zeros after it have more than _MAX_PADDING_BYTES."""
    if not header:
        raise BrokenError(f"the tar ends at byte {at} without an end marker: it may be incomplete.")
    if any(header):
        return False
    left = len(source) - at
    fault = f"the {left} bytes of the tar from its end marker on, which is at byte {at}, are"
    if any(bytes(source[at : at + min(left, _MAX_PADDING_BYTES)])):
        raise BrokenError(f"{fault} not all zeros.")
    if left > _MAX_PADDING_BYTES:
        raise BrokenError(f"{fault} more than the limit of {_MAX_PADDING_BYTES}.")
    return True


def _extended(source: Source, header: bytes, at: int, size: int, extension: Extension) -> Extension:
    """Adds the fields of the extended header at position `at` to `extension`, and returns the
    result. `size` is the size of the extended header's data in bytes."""
    kind, start = header[156:157], at + BLOCK
    if size > _MAX_EXTENDED_BYTES:
        raise BrokenError(
            f"the extended header at byte {at} states a size of {size} bytes, more than the limit "
            f"of {_MAX_EXTENDED_BYTES}."
        )
    body = bytes(source[start : start + size])
    if len(body) < size:
        raise BrokenError(
            f"the tar ends too early, at byte {len(source)}, inside an extended header."
        )
    try:
        return extend(extension, kind, body)
    except ValueError:
        raise BrokenError(f"the extended header at byte {at} is broken: {body[:32]!r}.") from None
