"""Reads Arrow files (IPC streams and IPC files), such as `datasets` writes with `save_to_disk`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pyarrow as pa

from curate.ingest.formats.arrow_messages import (
    FILE_MAGIC,
    STREAM_MAGIC,
    Message,
    first_message,
    messages,
)
from curate.ingest.formats.arrow_types import check_layout, check_names
from curate.ingest.formats.lost_rows import LostRows
from curate.ingest.reader import SPLIT_BYTES, Context, Count, Head, Split
from manifests import storage
from manifests.errors import FileError
from manifests.storage import File

SUFFIXES = (".arrow",)
_FIX = (
    "Copy or write the file again, or change the source's path so that it does not include "
    "the file."
)


def is_arrow(data: bytes) -> bool:
    """Whether the first bytes of a file are those of an Arrow file or of an Arrow stream."""
    return data.startswith((FILE_MAGIC, STREAM_MAGIC))


def sniffed_schema(head: Head) -> pa.Schema | None:
    """The schema of an Arrow file; None if the file is broken or has another format."""
    if not is_arrow(head.data):
        return None
    try:
        with _open(head.file, "") as source:
            return _schema(source)
    except FileError:
        return None


def batch_splits(file: File, context: Context) -> Iterator[Split]:
    """Yields the splits of an Arrow file (the ranges that one task each reads). A split has one or
    more record batches, of about SPLIT_BYTES together.

    In a split, `start` and `stop` are byte positions, and `first` is the number of rows before the
    split. A file with dictionary-encoded columns is one split, because all batches after a
    dictionary use this dictionary. A broken file is one split too; the rows before the damage are
    read.
    """
    try:
        with _open(file, context.base) as source:
            found = list(messages(source))
    except FileError:
        found = []
    first = rows = 0
    begin = None
    for message in found if not any(m.kind == "dictionary" for m in found) else ():
        if message.kind != "rows":
            continue
        begin = message.start if begin is None else begin
        rows += message.rows
        if message.stop - begin >= SPLIT_BYTES:
            yield Split((file,), begin, message.stop, first)
            begin, first, rows = None, first + rows, 0
    if begin is not None:
        yield Split((file,), begin, found[-1].stop, first)
    elif first == 0:
        yield Split((file,))


def record_batches(split: Split, context: Context) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yields the record batches of a split, each with the number of its first row in the file.

    A record batch that cannot be read is skipped. If batches were skipped, FileError is raised
    after the last batch; the error lists the ranges of the lost rows. A file that is cut off is
    read up to the cut, and then FileError is raised. A file with dictionaries is read up to the
    first batch that Arrow cannot read, and then FileError is raised.
    """
    read = _from_start if split.stop < 0 else _in_range
    yield from read(split, context)


def _from_start(split: Split, context: Context) -> Iterator[tuple[int, pa.RecordBatch]]:
    at, lost = split.first, LostRows()
    with _open(split.files[0], context.base) as source:
        _schema(source)
        source.seek(first_message(source))
        for batch in pa.ipc.open_stream(source):
            try:
                _check(batch, split.files[0])
            except FileError as error:
                lost.add(at, at + batch.num_rows, error)
            else:
                yield at, batch
            at += batch.num_rows
        lost.check()
        for _ in messages(source):  # raises the error of a file that ends inside a message
            pass


def _in_range(split: Split, context: Context) -> Iterator[tuple[int, pa.RecordBatch]]:
    at, lost = split.first, LostRows()
    with _open(split.files[0], context.base) as source:
        schema = _schema(source)
        for message in messages(source, split.start):
            if message.start >= split.stop:
                break
            if message.kind == "rows":
                try:
                    batch = _batch(source, message, schema, split.files[0])
                except FileError as error:
                    lost.add(at, at + message.rows, error)
                else:
                    yield at, batch
                at += message.rows
    lost.check()


def _batch(
    source: pa.NativeFile, message: Message, schema: pa.Schema, file: File
) -> pa.RecordBatch:
    source.seek(message.start)
    with _arrow_errors(file):
        batch = pa.ipc.read_record_batch(pa.ipc.read_message(source), schema)
    _check(batch, file)
    return batch


def _check(batch: pa.RecordBatch, file: File) -> None:
    """Raises FileError for a batch with offsets that lie outside its buffers, as in a damaged
    file."""
    with _arrow_errors(file):
        check_layout(batch)


def count_rows(split: Split, context: Context) -> Count:
    """Returns the number of rows in a split. The number is read from the headers of the record
    batches; no values are read. If the file is cut off, only the rows before the cut are
    counted."""
    rows, is_whole = 0, True
    try:
        with _open(split.files[0], context.base) as source:
            for message in messages(source):
                rows += message.rows if _is_inside(message, split) else 0
    except FileError:
        is_whole = False
    return Count("rows", rows, is_whole=is_whole)


def _is_inside(message: Message, split: Split) -> bool:
    return message.start >= split.start and (split.stop < 0 or message.stop <= split.stop)


def _schema(source: pa.NativeFile) -> pa.Schema:
    source.seek(first_message(source))
    schema = pa.ipc.read_schema(source)
    check_names(schema)
    return schema


@contextlib.contextmanager
def _open(file: File, base: str) -> Iterator[pa.NativeFile]:
    """Opens an Arrow file for a `with` block. Arrow's errors in the block are raised as FileError.
    `base` is the folder to which the file's uri is relative."""
    with storage.open_file(storage.resolve(base, file.uri)) as source, _arrow_errors(file):
        yield source


@contextlib.contextmanager
def _arrow_errors(file: File) -> Iterator[None]:
    try:
        yield
    except FileError as error:
        raise FileError(error.fault, file.uri, error.fix) from None
    except (pa.ArrowException, OSError, EOFError, UnicodeDecodeError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # an error of the disk or network, not of the data
        fault = " ".join(str(error).split()).rstrip(".")
        raise FileError(f"the Arrow file is broken: {fault:.300}.", file.uri, _FIX) from error
