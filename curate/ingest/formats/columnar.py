"""Reads tables with typed columns, parquet or Arrow, as batches of checked rows."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from curate.ingest.formats import arrow_ipc, parquet
from curate.ingest.formats.arrow_types import (
    is_marked_bytes,
    pieces,
    plain_batch,
    plain_schema,
)
from curate.ingest.formats.column_names import check_schema
from curate.ingest.reader import BATCH_ROWS, Context, Count, Head, Split
from manifests.errors import RowError
from manifests.storage import File

SUFFIXES = (*parquet.SUFFIXES, *arrow_ipc.SUFFIXES)
PIECE_BYTES = 2 * parquet.BATCH_BYTES
"""Largest size of a batch in bytes; a larger one is cut (our choice). An Arrow file has batches of
any size, and a dictionary-encoded column may grow by a large factor when it is converted."""


class Batch(NamedTuple):
    """The valid rows of a batch (`rows`), with the number of each in the file, from 0 (`numbers`),
    and the broken rows as pairs (number in the file, error). Columns have the types of
    `arrow_types.plain_type`."""

    numbers: np.ndarray
    rows: pa.RecordBatch
    broken: list[tuple[int, RowError]]


def is_columnar(name: str) -> bool:
    """Whether the name of a file ends in a suffix of parquet or Arrow files, such as `.parquet`."""
    return name.lower().endswith(SUFFIXES)


def is_columnar_data(data: bytes) -> bool:
    """Whether the first bytes of a file are those of a parquet or Arrow file."""
    return data.startswith(parquet.MAGIC) or arrow_ipc.is_arrow(data)


def sniffed_schema(head: Head) -> pa.Schema | None:
    """The schema of a parquet or Arrow file, with the types of `arrow_types.plain_type`; None if
    the file is broken or has another format."""
    schema = parquet.sniffed_schema(head) or arrow_ipc.sniffed_schema(head)
    return None if schema is None else plain_schema(schema)


def splits(file: File, context: Context) -> Iterator[Split]:
    """Yields the splits of a parquet or Arrow file (the ranges that one task each reads). A split
    has one or more row groups of a parquet file, or record batches of an Arrow file."""
    if _is_arrow(file):
        return arrow_ipc.batch_splits(file, context)
    return parquet.row_group_splits(file, context)


def count_rows(split: Split, context: Context) -> Count:
    """Returns the number of rows in a split. The number is read from the metadata of a parquet
    file, or from the headers of the record batches of an Arrow file."""
    if _is_arrow(split.files[0]):
        return arrow_ipc.count_rows(split, context)
    return parquet.count_rows(split, context)


def batches(split: Split, context: Context, texts: Collection[str] = ()) -> Iterator[Batch]:
    """Yields the rows of a split in batches of at most BATCH_ROWS rows and about PIECE_BYTES.

    `texts` has the names, in upper or lower case, of the text columns. A text column is read as
    text even if its type is binary, unless its bytes have a fixed size or an extension type: such a
    column stays binary. A row with a text that is not valid UTF-8 is a broken row.
    Raises FileError if two columns have the same name.
    """
    names = {name.lower() for name in texts}
    read = arrow_ipc.record_batches if _is_arrow(split.files[0]) else parquet.record_batches
    for first, found in read(split, context):
        check_schema(found.schema, split.files[0].uri)
        marked = {field.name.lower() for field in found.schema if is_marked_bytes(field.type)}
        for piece in pieces(found, BATCH_ROWS, PIECE_BYTES):
            yield _checked(first, _as_text(plain_batch(piece), names - marked))
            first += piece.num_rows


def _is_arrow(file: File) -> bool:
    return file.name.lower().endswith(arrow_ipc.SUFFIXES)


def _as_text(rows: pa.RecordBatch, texts: set[str]) -> pa.RecordBatch:
    for place, field in enumerate(rows.schema):
        if field.name.lower() in texts and field.type in (pa.binary(), pa.list_(pa.binary())):
            text = pa.string() if field.type == pa.binary() else pa.list_(pa.string())
            rows = rows.set_column(place, field.name, rows.column(place).view(text))
    return rows


def _checked(first: int, rows: pa.RecordBatch) -> Batch:
    numbers = np.arange(first, first + rows.num_rows)
    if _fault(rows) is None:
        return Batch(numbers, rows, [])
    # `take` copies one row; a slice of a list column would still have the values of other rows.
    faults = [_fault(rows.take([n])) for n in range(rows.num_rows)]
    fix = "Correct the value, and write the table again."
    broken = [(first + n, RowError(f, fix=fix)) for n, f in enumerate(faults) if f]
    valid = np.flatnonzero([fault is None for fault in faults])
    return Batch(numbers[valid], rows.take(valid), broken)


def _fault(rows: pa.RecordBatch) -> str | None:
    for name, values in zip(rows.schema.names, rows.columns, strict=True):
        try:
            values.validate(full=True)
        except pa.ArrowInvalid as error:
            return f"column {name!r}: {_not_utf8(values) or error}."
    return None


def _not_utf8(values: pa.Array) -> str | None:
    """Returns an error message that shows the value in row 0 and says that it is not UTF-8; None if
    the column is not a text column. `values` is a column with an invalid value.

    Only in a column with one row is the value in row 0 certainly the invalid value. So after the
    validation of a batch has failed, `_checked` validates the rows one by one.
    """
    if not pa.types.is_string(values.type):
        return None
    return f"{values.cast(pa.binary())[0].as_py()!r:.80} is not UTF-8"
