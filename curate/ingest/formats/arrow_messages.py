"""Finds the record batches of an Arrow file, and their numbers of rows, without reading the rows.

An Arrow stream is a sequence of messages: four bytes `ff ff ff ff`, the size of the message's
description (int32), the description, and the values. An Arrow file has the same messages after
eight bytes `ARROW1\\0\\0`. The description is a flatbuffer. Only three numbers of it are read here:
the kind of the message, the number of rows, and the size of the values.

Source: Arrow columnar format, "Serialization and Interprocess Communication", and Message.fbs.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

import pyarrow as pa

from manifests.errors import FileError

FILE_MAGIC = b"ARROW1\0\0"
STREAM_MAGIC = b"\xff\xff\xff\xff"
_KINDS = {1: "schema", 2: "dictionary", 3: "rows"}
_MAX_DESCRIPTION = 1 << 28
"""The largest description of a message in bytes; a larger one is treated as damage (our choice: a
thousand columns need less than a megabyte)."""


class Message(NamedTuple):
    """A message of an Arrow file. `kind` is schema, dictionary, rows (a record batch) or other. The
    message takes up the bytes `start` to `stop` (exclusive) of the file. `rows` is the number of
    rows of a record batch, and 0 for any other message."""

    kind: str
    start: int
    stop: int
    rows: int


def messages(source: pa.NativeFile, start: int = 0) -> Iterator[Message]:
    """Yields the messages of an Arrow stream or Arrow file, in order, from byte `start` on.

    Raises FileError where the file ends inside a message, or where the bytes are not a message. If
    the file ends inside the values of a record batch, the message of this batch is yielded before
    the error is raised, so that its rows are counted.
    """
    size, at = source.size(), start or first_message(source)
    while at + 8 <= size:
        source.seek(at)
        head = source.read(8)
        if len(head) < 8:  # the file became shorter
            break
        mark, length = struct.unpack("<4si", head)
        if mark != STREAM_MAGIC or not 0 <= length <= _MAX_DESCRIPTION:
            raise _broken(f"no Arrow message starts at byte {at}")
        if length == 0:  # the end of the stream
            return
        description = source.read(length)
        if len(description) < length:
            break
        kind, rows, values = _parsed(description, at)
        yield Message(kind, at, at + 8 + length + values, rows)
        at += 8 + length + values
    if at != size:
        raise _broken(f"the file ends at byte {size}, inside an Arrow message")


def first_message(source: pa.NativeFile) -> int:
    """Returns the byte position of the first message: 8 in an Arrow file, 0 in a stream."""
    source.seek(0)
    return len(FILE_MAGIC) if source.read(len(FILE_MAGIC)) == FILE_MAGIC else 0


def _parsed(description: bytes, at: int) -> tuple[str, int, int]:
    """Parses the description of the message at byte `at` of the file. Returns the kind of the
    message, its number of rows, and the size of its values in bytes."""
    try:
        table = struct.unpack_from("<I", description, 0)[0]
        kind = _KINDS.get(_field(description, table, 1, "<B"), "other")
        values = _field(description, table, 3, "<q")
        rows = 0
        if kind == "rows":
            place = _place(description, table, 2)
            rows = _field(description, place + _at(description, place, "<I"), 0, "<q")
    except struct.error:
        raise _broken(f"the message at byte {at} is damaged") from None
    if values < 0 or rows < 0:
        raise _broken(f"the message at byte {at} is damaged")
    return kind, rows, values


def _field(data: bytes, table: int, number: int, form: str) -> int:
    """Returns the value of field `number` (from 0) of the flatbuffer table at position `table`, or
    0 if the table does not have the field. `form` is the type of the value in the notation of
    `struct`: `<q` is an int64."""
    place = _place(data, table, number)
    return _at(data, place, form) if place else 0


def _place(data: bytes, table: int, number: int) -> int:
    """Returns the position in `data` of field `number` (from 0) of the flatbuffer table at position
    `table`, or 0 if the table does not have the field."""
    fields = table - _at(data, table, "<i")
    if 4 + 2 * number >= _at(data, fields, "<H"):
        return 0
    offset = _at(data, fields + 4 + 2 * number, "<H")
    return table + offset if offset else 0


def _at(data: bytes, place: int, form: str) -> int:
    if place < 0:
        raise struct.error
    value: int = struct.unpack_from(form, data, place)[0]
    return value


def _broken(fault: str) -> FileError:
    return FileError(
        f"the Arrow file is broken: {fault}.",
        fix=(
            "Copy or write the file again, or change the source's path so that it does not "
            "include the file."
        ),
    )
