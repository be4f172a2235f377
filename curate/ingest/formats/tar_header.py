"""One 512-byte header of a tar: its checksum, its fields, and what extended headers add to it."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import NamedTuple

BLOCK = 512


class BrokenError(Exception):
    """The tar cannot be read on from here."""

    def __init__(self, fault: str, name: str | None = None) -> None:
        super().__init__(fault, name)
        self.fault, self.name = fault, name


def told_size(header: bytes, at: int) -> int:
    """The size told by a header, whose checksum is verified."""
    if len(header) < BLOCK:
        raise BrokenError(f"the tar breaks off at byte {at + len(header)}, inside a header.")
    if header[148:154] != b"%06o" % _sum(header) and not sum_agrees(header):
        raise BrokenError(f"no header at byte {at}, where one belongs: the checksum disagrees.")
    try:
        return _number(header[124:136])
    except ValueError:
        raise BrokenError(f"the header at byte {at} tells size {header[124:136]!r}.") from None


def _sum(header: bytes) -> int:
    """The sum of the bytes, those of the sum itself taken as spaces (its width allows 17 bits).

    Adler-32's low half is one plus the sum, modulo 65521: exact where names are ASCII, and in C.
    """
    return (zlib.adler32(header) & 0xFFFF) - sum(header[148:156]) + (8 * 0x20 - 1)


def sum_agrees(header: bytes) -> bool:
    """The same for sums written otherwise, or signed as in some old tars."""
    try:
        told = _number(header[148:156]) - 8 * 0x20
    except ValueError:
        return False
    summed = header[:148] + header[156:]
    return told in (sum(summed), sum(byte - 256 * (byte > 127) for byte in summed))


def _number(field: bytes) -> int:
    """Octal digits, or GNU's base-256. ValueError where it is neither, or negative."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    value = int(field.partition(b"\0")[0].strip() or b"0", 8)
    if value < 0:
        raise ValueError(value)
    return value


def told_name(header: bytes) -> str:
    """The name, with its ustar prefix; bytes that are not UTF-8 stand as `\\xff`."""
    name = header[:100].partition(b"\0")[0]
    if header[345] and header[257:263] == b"ustar\0":
        name = header[345:500].partition(b"\0")[0] + b"/" + name
    return name.decode("utf-8", "backslashreplace")


class Said(NamedTuple):
    """What extended headers say of the member after them."""

    name: str | None = None
    size: int | None = None
    sparse: bool = False


def extended(kind: bytes, body: bytes, said: Said) -> Said:
    """What is said after one more extended header. ValueError where it is broken."""
    if kind == b"L":
        return said._replace(name=body.partition(b"\0")[0].decode("utf-8", "backslashreplace"))
    if kind == b"K":
        return said
    records = dict(_pax_records(body))
    return _global(records, said) if kind == b"g" else _pax(records, said)


def _pax(records: dict[bytes, bytes], said: Said) -> Said:
    path = records.get(b"GNU.sparse.name", records.get(b"path"))
    size = records.get(b"size")
    if size is not None and int(size) < 0:
        raise ValueError(size)
    return Said(
        said.name if path is None else path.decode("utf-8", "backslashreplace"),
        said.size if size is None else int(size),
        any(key.startswith(b"GNU.sparse") for key in records),
    )


def _global(records: dict[bytes, bytes], said: Said) -> Said:
    """A global header's comments and dates are passed over; one name for all is no archive."""
    if b"path" in records or b"size" in records:
        raise ValueError("one path or size for every member")
    return said


def _pax_records(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    """`LENGTH KEY=VALUE\\n`, where the length counts all of it."""
    at = 0
    while at < len(body) and body[at]:
        digits = body[at : at + 20].partition(b" ")[0]
        record = body[at : at + int(digits)]
        key, equals, value = record[len(digits) + 1 : -1].partition(b"=")
        if len(record) != int(digits) or not equals or not record.endswith(b"\n"):
            raise ValueError(record)
        yield key, value
        at += len(record)
