"""Reads tables whose cells may be lists or objects: parquet, Arrow, JSON lines, and JSON
arrays of objects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pyarrow as pa

from curate.ingest.formats import columnar
from curate.ingest.formats.json_elements import count_elements, is_array
from curate.ingest.formats.json_heads import first_keys
from curate.ingest.formats.json_object import MAX_SPLITS, MIN_SPLIT_BYTES
from curate.ingest.formats.json_splits import array_splits
from curate.ingest.formats.lines import count_lines, line_splits
from curate.ingest.formats.text_tables import JSON_SUFFIXES, Layout, read_rows
from curate.ingest.meta import json_rows
from curate.ingest.reader import Context, Count, Head, Split
from manifests.errors import RowError
from manifests.storage import File

SUFFIXES = (*columnar.SUFFIXES, *JSON_SUFFIXES)


class RowBatch(NamedTuple):
    """A batch of table rows: the valid rows as dicts, with the number of each in the file
    (`numbers`), and the broken rows as pairs (number, error).

    Rows are numbered from 0, but lines of JSON lines from 1. For a parquet or Arrow file, the dicts
    do not have the binary columns, and `table` has the valid rows with all columns.
    """

    numbers: list[int]
    rows: list[dict[str, Any]]
    broken: list[tuple[int, RowError]]
    table: pa.RecordBatch | None = None


def row_splits(file: File, context: Context) -> Iterator[Split]:
    """Yields the splits of a file (the ranges that one task each reads). Splits are small, because
    an image is opened for each row."""
    if columnar.is_columnar(file.name):
        return columnar.splits(file, context)
    size_bytes = max(MIN_SPLIT_BYTES, file.size // MAX_SPLITS)
    place = context.media.resolve(file.uri)
    if is_array(place):
        return array_splits(file, place, split_bytes=size_bytes)
    return line_splits(file, context, size_bytes)


def row_batches(split: Split, context: Context) -> Iterator[RowBatch]:
    """Yields the rows of a split in batches of a few thousand rows."""
    file = split.files[0]
    if columnar.is_columnar(file.name):
        for batch in columnar.batches(split, context):
            rows = json_rows(batch.rows)
            yield RowBatch(batch.numbers.tolist(), rows, batch.broken, batch.rows)
        return
    place = context.media.resolve(file.uri)
    layout = Layout("array" if is_array(place) else "lines", [])
    for found in read_rows(split, context, layout):
        yield RowBatch(found.numbers, found.rows, found.broken)


def count_rows(split: Split, context: Context) -> Count:
    """Returns the number of rows in a split: rows of a parquet or Arrow file, lines of JSON lines,
    or elements of a JSON array."""
    file = split.files[0]
    if columnar.is_columnar(file.name):
        return columnar.count_rows(split, context)
    place = context.media.resolve(file.uri)
    if is_array(place):
        return count_elements(place, *split[1:])
    return count_lines(split, context)


def column_names(head: Head) -> set[str]:
    """Returns the column names of a parquet or Arrow file, or the keys of the first object of a
    JSON file."""
    schema = columnar.sniffed_schema(head)
    if schema is not None:
        return set(schema.names)
    return set(first_keys(head))
