"""Parses the 512-byte headers of a tar: the checksum and the fields. Also parses extended headers,
which have fields of the next member, such as a long name."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import NamedTuple

BLOCK = 512
"""Size in bytes of a header and of a block of data (POSIX ustar)."""


class BrokenError(Exception):
    """Raised if a tar is broken, so that the members after the damage cannot be read. `name` is the
    name of the broken member, if it is known."""

    def __init__(self, fault: str, name: str | None = None) -> None:
        super().__init__(fault, name)
        self.fault, self.name = fault, name


def size_of(header: bytes, at: int) -> int:
    """Verifies the checksum of the header at position `at`, and returns the size that the header
    states. Raises BrokenError if the header is cut off or not valid."""
    if len(header) < BLOCK:
        raise BrokenError(f"the tar ends too early, at byte {at + len(header)}, inside a header.")
    if header[148:154] != b"%06o" % _sum(header) and not sum_agrees(header):
        raise BrokenError(f"the header at byte {at} is not valid: its checksum is wrong.")
    try:
        return _number(header[124:136])
    except ValueError:
        size = bytes(header[124:136])
        raise BrokenError(f"the header at byte {at} has no valid size: {size!r}.") from None


def _sum(header: bytes) -> int:
    """Returns the sum of all bytes of a header, where each byte of the checksum field counts as a
    space.

    zlib's Adler-32 computes the sum quickly in C: its lower 16 bits are the sum plus one, modulo
    65521. The result is exact if names are ASCII. For other names, the result may be wrong, so the
    caller also calls `sum_agrees`.
    """
    return (zlib.adler32(header) & 0xFFFF) - sum(header[148:156]) + (8 * 0x20 - 1)


def sum_agrees(header: bytes) -> bool:
    """Whether the checksum in a header is correct. The checksum may be the sum of unsigned bytes
    or, in old tars, of signed bytes, in octal or base-256 notation."""
    try:
        stated = _number(header[148:156]) - 8 * 0x20
    except ValueError:
        return False
    summed = header[:148] + header[156:]
    return stated in (sum(summed), sum(byte - 256 * (byte > 127) for byte in summed))


def _number(field: bytes) -> int:
    """Parses a number in octal digits or in GNU's base-256 notation. Raises ValueError for any
    other notation."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    value = int(field.partition(b"\0")[0].strip() or b"0", 8)
    if value < 0:
        raise ValueError(value)
    return value


def name_of(header: bytes) -> str:
    """Returns the name of a member, with its ustar prefix. A byte that is not UTF-8 is written as
    an escape: the byte 255 becomes the four characters `\\xff`."""
    name = header[:100].partition(b"\0")[0]
    if header[345] and header[257:263] == b"ustar\0":
        name = header[345:500].partition(b"\0")[0] + b"/" + name
    return name.decode("utf-8", "backslashreplace")


class Extension(NamedTuple):
    """Fields of extended headers. They replace the fields `name` and `size` in the header of the
    next member. `is_sparse` is true if the next member is a sparse file."""

    name: str | None = None
    size: int | None = None
    is_sparse: bool = False


def extend(extension: Extension, kind: bytes, body: bytes) -> Extension:
    """Adds the fields of an extended header to `extension`. Raises ValueError if the header is
    broken.

    `kind` is the type byte of the header: L and K for GNU's long names and links, x and X for pax
    records, g for global pax records.
    """
    if kind == b"L":
        name = body.partition(b"\0")[0].decode("utf-8", "backslashreplace")
        return extension._replace(name=name)
    if kind == b"K":
        return extension
    records = dict(_pax_records(body))
    return _extend_globally(extension, records) if kind == b"g" else _extend(extension, records)


def _extend(extension: Extension, records: dict[bytes, bytes]) -> Extension:
    path = records.get(b"GNU.sparse.name", records.get(b"path"))
    size = records.get(b"size")
    if size is not None and int(size) < 0:
        raise ValueError(size)
    return Extension(
        extension.name if path is None else path.decode("utf-8", "backslashreplace"),
        extension.size if size is None else int(size),
        any(key.startswith(b"GNU.sparse") for key in records),
    )


def _extend_globally(extension: Extension, records: dict[bytes, bytes]) -> Extension:
    """Returns `extension` unchanged: comments and dates in a global header are ignored. Raises
    ValueError for a path or size in a global header, because all members would have this path or
    size."""
    if b"path" in records or b"size" in records:
        raise ValueError("a global header states a path or size for all members")
    return extension


def _pax_records(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yields the (key, value) records of a pax header: `b"12 path=a.b\\n"` -> (b"path", b"a.b").
    The 12 is the length of the whole record, including the digits of the length."""
    at = 0
    while at < len(body) and body[at]:
        digits = body[at : at + 20].partition(b" ")[0]
        record = body[at : at + int(digits)]
        key, equals, value = record[len(digits) + 1 : -1].partition(b"=")
        if len(record) != int(digits) or not equals or not record.endswith(b"\n"):
            raise ValueError(record)
        yield key, value
        at += len(record)
