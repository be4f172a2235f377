"""Reads and writes the files of parts, which are Arrow IPC files with a group of records each. They
are memory-mapped, and written completely or not at all."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from manifests import storage
from manifests.errors import CurateError, ManifestError, foreign_message
from manifests.storage.file_entry import FileEntry

_BUFFER_BYTES = 1 << 16
"""Bytes that are collected before they are written to a file (our choice)."""
_VERIFY = (
    "Run `curate verify` to see which files of the run are damaged. Running the recipe again, with "
    "the same output folder, makes them again."
)


class Writer:
    """Writes the Arrow file of a part, which is a group of records. Every table that is written
    becomes one record batch."""

    def __init__(self, name: str, sink: storage.Sink, writer: Any) -> None:
        self._name, self._sink, self._writer, self.rows = name, sink, writer, 0

    def write(self, table: pa.Table) -> None:
        for batch in table.combine_chunks().to_batches() or [_empty(table.schema)]:
            self._writer.write_batch(batch)
        self.rows += table.num_rows

    @property
    def entry(self) -> FileEntry:
        """What a manifest states about the written file. It is valid after the `with` block of
        `writing`."""
        return self._sink.entry(self._name, self.rows)


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array([], f.type) for f in schema], schema=schema)


class _UnclosedSink:
    """A sink whose `close` does nothing. pyarrow calls `close` when a part is written, but only
    `storage.writing` may close the file."""

    closed = False

    def __init__(self, sink: storage.Sink) -> None:
        self.write = sink.write

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass


def buffered(sink: storage.Sink) -> pa.NativeFile:
    """Returns a stream that collects small writes, and passes them to the sink together. pyarrow
    writes a record batch in about ninety small writes.

    Large writes go to the sink without a copy. `flush` and `close` write what was collected.
    """
    return pa.BufferedOutputStream(pa.PythonFile(_UnclosedSink(sink), "w"), _BUFFER_BYTES)


@contextlib.contextmanager
def writing(uri: str, schema: pa.Schema, durable: bool = True) -> Iterator[Writer]:
    """Write the Arrow file of a part in a `with` block. The complete file appears at `uri` if the
    block ends without an error. `durable` is as in `storage.writing`: whether the file survives a
    crash of the machine."""
    with (
        storage.writing(uri, durable) as sink,
        buffered(sink) as stream,
        pa.ipc.new_file(stream, schema) as writer,
    ):
        part = Writer(storage.base_name(uri), sink, writer)
        yield part


def write(
    uri: str, schema: pa.Schema, tables: Iterable[pa.Table], durable: bool = True
) -> FileEntry:
    with writing(uri, schema, durable) as part:
        for table in tables:
            part.write(table)
    return part.entry


@contextlib.contextmanager
def _damage(uri: str) -> Iterator[None]:
    """Replaces an error of pyarrow in the `with` block by a ManifestError that names the file.

    pyarrow raises errors of many classes for damaged bytes: among them an OSError without a number,
    and a KeyError if the file is an intact Arrow file that does not have the wanted columns.
    """
    with storage.storage_errors(uri):
        try:
            yield
        except (CurateError, MemoryError):
            raise
        except (pa.ArrowException, ValueError, KeyError, OSError) as error:
            if isinstance(error, OSError) and (error.errno or storage.is_remote(uri)):
                raise
            fault = f"this is not the Arrow file that belongs here: {foreign_message(error)}"
            raise ManifestError(fault, uri, _VERIFY) from error


def open_part(uri: str, columns: tuple[str, ...] | None = None) -> pa.ipc.RecordBatchFileReader:
    """Opens a part, which is an Arrow file with a group of records. The returned reader can read
    each record batch by its number.

    From a remote part only `columns` are fetched. A local part is memory-mapped with all columns,
    because pyarrow would copy the data if some columns were excluded. A column is read from disk on
    first access.
    """
    with _damage(uri):
        reader = pa.ipc.open_file(storage.open_input(uri))
        if columns is None or not storage.is_remote(uri):
            return reader
        fields = [reader.schema.names.index(name) for name in columns]
        options = pa.ipc.IpcReadOptions(included_fields=fields)
        return pa.ipc.open_file(storage.open_input(uri), options=options)


def read(
    uri: str, rows: int | None = None, columns: tuple[str, ...] | None = None
) -> Iterator[pa.Table]:
    """Yields the record batches of a part as tables; a part is an Arrow file with a group of
    records. Batches of more than `rows` rows are cut into several tables; empty batches are left
    out.

    `columns`: the columns that are needed; only these are fetched from a remote part.
    """
    reader = open_part(uri, columns)
    for number in range(reader.num_record_batches):
        with _damage(uri):
            table = pa.table(reader.get_batch(number))
            table = table if columns is None else table.select(list(columns))
        step = rows or max(1, table.num_rows)
        for start in range(0, table.num_rows, step):
            yield table.slice(start, step)


def read_columns(uri: str, columns: tuple[str, ...] | None = None) -> pa.Table:
    """Returns all rows of a part, with the given columns (default: all); a part is an Arrow file
    with a group of records. Other columns are not read from disk."""
    with _damage(uri):
        table = open_part(uri, columns).read_all()
        return table if columns is None else table.select(list(columns))


def read_checked(uri: str, columns: tuple[str, ...] | None = None) -> pa.Table:
    """Returns the same as `read_columns`, and checks every value that is read. Use it for a file
    that an earlier process wrote: damaged offsets or text then cause a ManifestError and no crash.
    """
    table = read_columns(uri, columns)
    with _damage(uri):
        table.validate(full=True)
    return table
