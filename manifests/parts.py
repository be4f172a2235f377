"""Part files: Arrow IPC files, memory-mapped on reading, whole or absent on writing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import pyarrow as pa

from manifests import storage
from manifests.errors import ManifestError


class Written(NamedTuple):
    """What a file turned out to be."""

    rows: int
    size_bytes: int
    digest: str


def write(uri: str, schema: pa.Schema, tables: Iterable[pa.Table]) -> Written:
    """One record batch for each table that has rows."""
    rows = 0
    with storage.writing(uri) as sink:
        with pa.ipc.new_file(sink, schema) as writer:
            for table in tables:
                writer.write_table(table.combine_chunks())
                rows += table.num_rows
        return Written(rows, sink.size_bytes, sink.digest)


def open_part(uri: str) -> pa.ipc.RecordBatchFileReader:
    """A part's batches by number; columns are read from the map when they are touched."""
    try:
        return pa.ipc.open_file(storage.open_input(uri))
    except pa.ArrowInvalid as error:
        raise ManifestError(f"this is not a part file: {error}", uri) from error


def read(uri: str, rows: int | None = None) -> Iterator[pa.Table]:
    """The batches of a part as tables, cut to at most `rows` each."""
    reader = open_part(uri)
    for number in range(reader.num_record_batches):
        table = pa.table(reader.get_batch(number))
        step = rows or max(1, table.num_rows)
        for start in range(0, table.num_rows, step):
            yield table.slice(start, step)


def read_columns(uri: str, columns: tuple[str, ...]) -> pa.Table:
    """Some columns of a whole part; the others are never touched."""
    names = open_part(uri).schema.names
    options = pa.ipc.IpcReadOptions(included_fields=[names.index(c) for c in columns])
    table = pa.ipc.open_file(storage.open_input(uri), options=options).read_all()
    return table.select(list(columns))
