"""Part files: Arrow IPC files, memory-mapped on reading, whole or absent on writing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from manifests import storage
from manifests.errors import ManifestError
from manifests.run.manifest import FileEntry

_GATHERED_BYTES = 1 << 16


class Writer:
    """A part file being written, a record batch for every table."""

    def __init__(self, name: str, sink: storage.Sink, writer: Any) -> None:
        self._name, self._sink, self._writer, self.rows = name, sink, writer, 0

    def write(self, table: pa.Table) -> None:
        for batch in table.combine_chunks().to_batches() or [_empty(table.schema)]:
            self._writer.write_batch(batch)
        self.rows += table.num_rows

    @property
    def entry(self) -> FileEntry:
        """What was written, once the block that wrote it has ended."""
        return FileEntry(
            name=self._name,
            rows=self.rows,
            size_bytes=self._sink.size_bytes,
            digest=self._sink.digest,
        )


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array([], f.type) for f in schema], schema=schema)


class _Open:
    """A sink that pyarrow may close, which the block that opened it does."""

    closed = False

    def __init__(self, sink: storage.Sink) -> None:
        self.write = sink.write

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass


def gathering(sink: storage.Sink) -> pa.NativeFile:
    """The sink behind a buffer: pyarrow writes a batch in about ninety pieces, most of them tiny.

    Large pieces pass by the buffer, uncopied. It is flushed by `flush`, and when it is closed.
    """
    return pa.BufferedOutputStream(pa.PythonFile(_Open(sink), "w"), _GATHERED_BYTES)


@contextlib.contextmanager
def writing(uri: str, schema: pa.Schema, durable: bool = True) -> Iterator[Writer]:
    """Write a part file that appears whole when the block ends, or not at all."""
    with (
        storage.writing(uri, durable) as sink,
        gathering(sink) as stream,
        pa.ipc.new_file(stream, schema) as writer,
    ):
        part = Writer(storage.base_name(uri), sink, writer)
        yield part


def write(uri: str, schema: pa.Schema, tables: list[pa.Table], durable: bool = True) -> FileEntry:
    with writing(uri, schema, durable) as part:
        for table in tables:
            part.write(table)
    return part.entry


def open_part(uri: str, columns: tuple[str, ...] | None = None) -> pa.ipc.RecordBatchFileReader:
    """A part's batches by number; columns are read from the map when they are touched.

    Of a remote part only `columns` are fetched. Of a local one all are mapped and none is read:
    to leave some out, pyarrow would copy the others.
    """
    try:
        reader = pa.ipc.open_file(storage.open_input(uri))
        if columns is None or not storage.is_remote(uri):
            return reader
        fields = [reader.schema.names.index(name) for name in columns]
        options = pa.ipc.IpcReadOptions(included_fields=fields)
        return pa.ipc.open_file(storage.open_input(uri), options=options)
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


def read_columns(uri: str, columns: tuple[str, ...] | None = None) -> pa.Table:
    """Some columns of a whole part (all by default); the others are never touched."""
    table = open_part(uri, columns).read_all()
    return table if columns is None else table.select(list(columns))
