"""Opens parquet files with clear errors, cuts them at row groups, and reads small batches.

Readers use `formats.columnar`, which also reads Arrow files and converts the types of columns.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from curate.ingest.reader import BATCH_ROWS, SPLIT_BYTES, Context, Count, Head, Split
from manifests import storage
from manifests.errors import FileError
from manifests.storage import File

SUFFIXES = (".parquet", ".parq", ".pq")
MAGIC = b"PAR1"
SPLIT_ROWS = 1 << 17
"""Largest number of rows in one split (our choice: it takes seconds to open their images)."""
BATCH_BYTES = 32 << 20
"""Size of one batch in bytes (our choice): rows may have images, and a nested Arrow array can be at
most 2 GiB."""
_BUFFER_BYTES = 1 << 20


@contextlib.contextmanager
def open_parquet(file: File, base: str) -> Iterator[pq.ParquetFile]:
    """Opens a parquet file for a `with` block. Arrow's errors in the block are raised as
    FileError."""
    with storage.open_input(storage.resolve(base, file.uri)) as source:
        try:
            with pq.ParquetFile(
                source,
                buffer_size=_BUFFER_BYTES,
                pre_buffer=False,
                page_checksum_verification=True,
            ) as opened:
                yield opened
        except (pa.ArrowException, OSError, UnicodeDecodeError, OverflowError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # an error of the disk or network, not of the data
            fault = " ".join(str(error).split()).rstrip(".")
            raise FileError(
                f"the parquet file is broken: {fault:.300}.",
                file.uri,
                "Download or write it again, or leave it out of the source's path.",
            ) from error


def sniffed_schema(head: Head) -> pa.Schema | None:
    """The schema of a parquet file; None if the file is broken or has another format."""
    if not head.data.startswith(MAGIC):
        return None
    try:
        with open_parquet(head.file, "") as opened:
            return opened.schema_arrow
    except FileError:
        return None


def row_group_splits(file: File, context: Context) -> Iterator[Split]:
    """Yields splits of one or more row groups. A split has about SPLIT_BYTES or SPLIT_ROWS.

    In a split, `start` and `stop` are row group numbers, and `first` is the number of rows before
    it.
    """
    start = rows = size_bytes = first = 0
    with open_parquet(file, context.base) as opened:
        groups = [opened.metadata.row_group(n) for n in range(opened.num_row_groups)]
        for number, group in enumerate(groups):
            rows += group.num_rows
            size_bytes += group.total_byte_size
            if rows >= SPLIT_ROWS or size_bytes >= SPLIT_BYTES:
                yield Split((file,), start, number + 1, first)
                start, first, rows, size_bytes = number + 1, first + rows, 0, 0
        if start < len(groups) or not groups:
            yield Split((file,), start, len(groups), first)


def record_batches(split: Split, context: Context) -> Iterator[pa.RecordBatch]:
    """Yields the row groups of a split in batches of at most BATCH_ROWS rows and about
    BATCH_BYTES."""
    with open_parquet(split.files[0], context.base) as opened:
        stop = opened.num_row_groups if split.stop < 0 else split.stop
        groups = range(split.start, stop)
        size = _batch_rows(opened.metadata, groups)
        yield from opened.iter_batches(size, groups, use_threads=False)


def count_rows(split: Split, context: Context) -> Count:
    """The number of rows in the row groups of a split, by the metadata of the file."""
    with open_parquet(split.files[0], context.base) as opened:
        stop = opened.num_row_groups if split.stop < 0 else split.stop
        groups = range(split.start, stop)
        return Count("rows", sum(opened.metadata.row_group(n).num_rows for n in groups))


def _batch_rows(metadata: pq.FileMetaData, groups: range) -> int:
    heaviest = max(
        (metadata.row_group(n).total_byte_size // max(1, metadata.row_group(n).num_rows)
         for n in groups), default=1,
    )  # fmt: skip
    return max(1, min(BATCH_ROWS, BATCH_BYTES // max(1, heaviest)))
