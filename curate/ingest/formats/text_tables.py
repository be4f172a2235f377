"""TODO."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import orjson

from curate.ingest.formats.lines import BATCH_BYTES, decoded, line_batches, lines
from curate.ingest.reader import BATCH_ROWS, Context, Split
from manifests.errors import FileError, RowError
from manifests.storage import File

Row = dict[str, Any] | RowError


"""A row's values by column, or why it is none."""


Numbered = tuple[int, Row]


class Layout(NamedTuple):
    """What kind of text a table is, and the names that its header, in line `line`, gives."""

    kind: Literal["jsonl", "csv", "tsv"]
    header: list[str]
    line: int = 0


def layout_of(file: File, context: Context) -> Layout:
    """Seen from the first line that is not blank: `{`, a header with a tab, or another header."""
    every = lines(Split((file,)), context)
    number, first = next(((n, line) for n, line in every if line.strip()), (0, b"{"))
    start = first.lstrip()[:1]
    if start == b"{":
        return Layout("jsonl", [])
    if start == b"[":
        raise FileError(
            "a JSON array, not JSON lines.", file.uri, "`curate readers` tells what reads those."
        )
    try:
        header = decoded(number, first)
        fields = header.split("\t") if "\t" in header else next(csv.reader([header], strict=True))
    except (RowError, csv.Error) as error:
        why = error.fault if isinstance(error, RowError) else f"{error}."
        raise FileError(f"line {number} is no header of a table: {why}", file.uri) from None
    return Layout("tsv" if "\t" in header else "csv", fields, number)


def read_rows(split: Split, context: Context, layout: Layout) -> Iterator[list[Numbered]]:
    """The rows of a split, a batch at a time."""
    if layout.kind == "csv":
        yield from _csv_batches(split, context, layout)
        return
    for batch in line_batches(split, context):
        if layout.kind == "jsonl":
            yield _objects(batch)
        else:
            yield [(n, _tsv(n, line, layout.header)) for n, line in batch if n > layout.line]


def _objects(batch: list[tuple[int, bytes]]) -> list[Numbered]:
    try:
        found = [(number, orjson.loads(line)) for number, line in batch]
    except orjson.JSONDecodeError:
        return [(number, _json(number, line)) for number, line in batch]
    if all(type(row) is dict for _, row in found):
        return found
    return [(number, _json(number, line)) for number, line in batch]


def _json(number: int, line: bytes) -> Row:
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        return _why_not_json(number, line, error)
    if isinstance(row, dict):
        return row
    return RowError(f"line {number} is {row!r:.80}, not an object")


def _why_not_json(number: int, line: bytes, error: orjson.JSONDecodeError) -> RowError:
    try:
        before = decoded(number, line)[: error.pos][-30:]
    except RowError as fault:
        return fault
    told = f"line {number}, character {error.pos}: broken JSON: {error.msg}, after {before!r}."
    return RowError(told, fix="Repair the line.")


def _tsv(number: int, line: bytes, header: list[str]) -> Row:
    try:
        return _by_name(number, decoded(number, line).split("\t"), header)
    except RowError as error:
        return error


def _by_name(number: int, fields: list[str], header: list[str]) -> Row:
    if len(fields) != len(header):
        return RowError(
            f"line {number} has {len(fields)} fields where the header has {len(header)}"
        )
    return dict(zip(header, fields, strict=True))


def _csv_batches(split: Split, context: Context, layout: Layout) -> Iterator[list[Numbered]]:
    batch: list[Numbered] = []
    size_bytes = 0
    for number, row in _csv(split, context, layout):
        batch.append((number, row))
        size_bytes += sum(map(len, row.values())) if isinstance(row, dict) else 0
        if len(batch) == BATCH_ROWS or size_bytes > BATCH_BYTES:
            yield batch
            batch, size_bytes = [], 0
    if batch:
        yield batch


def _csv(split: Split, context: Context, layout: Layout) -> Iterator[Numbered]:
    """Rows with the number of the line they begin in: a quoted field may run over several."""
    text = (line.decode(errors="surrogateescape") + "\n" for _, line in lines(split, context))
    reader = csv.reader(text, strict=True)
    while True:
        number = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield number, RowError(f"lines {number} to {reader.line_num}: broken CSV: {error}")
            continue
        if fields and number > layout.line:
            yield number, _utf8(number, fields) or _by_name(number, fields, layout.header)


def _utf8(number: int, fields: list[str]) -> RowError | None:
    """Why the fields are no text, if bytes that are not UTF-8 were let through into them."""
    try:
        "".join(fields).encode()
    except UnicodeEncodeError as error:
        value = ord(error.object[error.start]) - 0xDC00
        fault = f"line {number}: 0x{value:02x} is not UTF-8."
        return RowError(fault, fix="Convert the file to UTF-8.")
    return None
