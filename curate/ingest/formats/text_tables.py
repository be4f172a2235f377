"""Reads tables in text files (JSON lines, CSV, and TSV with a header) as numbered rows."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import orjson

from curate.ingest.formats.batching import in_batches
from curate.ingest.formats.lines import decoded, line_batches, lines
from curate.ingest.reader import Context, Split
from manifests.errors import FileError, RowError
from manifests.storage import File

Row = dict[str, Any] | RowError


"""The values of a row by column name, or the error of a row that is broken."""


Numbered = tuple[int, Row]
"""A row and the number of its line, from 1."""


class Layout(NamedTuple):
    """The format of a table, the column names in its header, and the number of the header's line.

    JSON lines have no header.
    """

    kind: Literal["jsonl", "csv", "tsv"]
    header: list[str]
    line: int = 0


def layout_of(file: File, context: Context) -> Layout:
    """Detects the layout of a file from its first line that is not blank.

    A line that starts with `{` means JSON lines. Any other line is a header: of a TSV if it has a
    tab, otherwise of a CSV. Raises FileError for a JSON array, or for a line that cannot be a
    header.
    """
    numbered = lines(Split((file,)), context)
    number, first = next(((n, line) for n, line in numbered if line.strip()), (0, b"{"))
    start = first.lstrip()[:1]
    if start == b"{":
        return Layout("jsonl", [])
    if start == b"[":
        raise FileError(
            "the file is a JSON array, not JSON lines.",
            file.uri,
            "`curate readers` lists readers of JSON arrays.",
        )
    try:
        header = decoded(number, first)
        fields = header.split("\t") if "\t" in header else next(csv.reader([header], strict=True))
    except (RowError, csv.Error) as error:
        reason = error.fault if isinstance(error, RowError) else f"{error}."
        raise FileError(f"line {number} is not the header of a table: {reason}", file.uri) from None
    return Layout("tsv" if "\t" in header else "csv", fields, number)


def read_rows(split: Split, context: Context, layout: Layout) -> Iterator[list[Numbered]]:
    """Yields the rows of a split in batches. A row that cannot be parsed is replaced by its
    error."""
    if layout.kind == "csv":
        yield from in_batches(_csv(split, context, layout), _characters)
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
        return _json_error(number, line, error)
    if isinstance(row, dict):
        return row
    return RowError(f"line {number} is {row!r:.80}, not an object")


def _json_error(number: int, line: bytes, error: orjson.JSONDecodeError) -> RowError:
    try:
        before = decoded(number, line)[: error.pos][-30:]
    except RowError as not_utf8:
        return not_utf8
    fault = f"line {number}, character {error.pos}: broken JSON: {error.msg}, after {before!r}."
    return RowError(fault, fix="Repair the line.")


def _tsv(number: int, line: bytes, header: list[str]) -> Row:
    try:
        return _by_name(number, decoded(number, line).split("\t"), header)
    except RowError as error:
        return error


def _by_name(number: int, fields: list[str], header: list[str]) -> Row:
    if len(fields) != len(header):
        return RowError(f"line {number} has {len(fields)} fields, but the header has {len(header)}")
    return dict(zip(header, fields, strict=True))


def _characters(item: Numbered) -> int:
    _, row = item
    return sum(map(len, row.values())) if isinstance(row, dict) else 0


def _csv(split: Split, context: Context, layout: Layout) -> Iterator[Numbered]:
    """Yields each CSV row with the number of its first line: a quoted field may contain
    newlines."""
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
            yield number, _utf8_error(number, fields) or _by_name(number, fields, layout.header)


def _utf8_error(number: int, fields: list[str]) -> RowError | None:
    """An error if a field is not valid UTF-8; otherwise None. Invalid bytes were decoded as lone
    surrogates."""
    try:
        "".join(fields).encode()
    except UnicodeEncodeError as error:
        value = ord(error.object[error.start]) - 0xDC00
        fault = f"line {number}: 0x{value:02x} is not UTF-8."
        return RowError(fault, fix="Convert the file to UTF-8.")
    return None
