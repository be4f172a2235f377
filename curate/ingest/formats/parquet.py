"""Opens parquet files with clear errors, cuts them into splits at row groups, and reads small
batches.

Readers use `formats.columnar`, which also reads Arrow files and converts the types of columns.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from curate.ingest.formats.arrow_types import check_layout, check_names
from curate.ingest.formats.lost_rows import LostRows
from curate.ingest.formats.repeated_values import long_repeated, repetitive
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
"""Size of one read from the file in bytes (our choice)."""
_FIX = (
    "Download or write the file again, or change the source's path so that it does not "
    "include the file."
)


@contextlib.contextmanager
def open_parquet(
    file: File, base: str, dictionaries: Sequence[str] = ()
) -> Iterator[pq.ParquetFile]:
    """Opens a parquet file for a `with` block. Arrow's errors in the block are raised as FileError.
    `base` is the folder to which the file's uri is relative. The columns whose paths are in
    `dictionaries` are read as dictionary-encoded arrays."""
    with storage.open_file(storage.resolve(base, file.uri)) as source:
        try:
            with pq.ParquetFile(
                source,
                buffer_size=_BUFFER_BYTES,
                pre_buffer=False,
                read_dictionary=dictionaries,
                page_checksum_verification=True,
            ) as opened:
                check_names(opened.schema_arrow)
                yield opened
        except (pa.ArrowException, OSError, UnicodeDecodeError, OverflowError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # an error of the disk or network, not of the data
            fault = " ".join(str(error).split()).rstrip(".")
            raise FileError(
                f"the parquet file is broken: {fault:.300}.",
                file.uri,
                _FIX,
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
    """Yields the splits of a parquet file (the ranges that one task each reads). A split has one or
    more row groups: it ends after the row group with which it reaches SPLIT_BYTES or SPLIT_ROWS.

    In a split, `start` and `stop` are row group numbers, and `first` is the number of rows before
    the split.
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


def record_batches(split: Split, context: Context) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yields the row groups of a split in batches of at most BATCH_ROWS rows and about BATCH_BYTES,
    each with the number of its first row in the file.

    A row group that cannot be read is skipped. If row groups were skipped, FileError is raised
    after the last row group; the error lists the ranges of the lost rows.
    """
    at = split.first
    try:
        for batch in _read(split, context):
            yield at, batch
            at += batch.num_rows
    except FileError:
        yield from _group_by_group(split, context, at)
    _check_total(split, context)


def _check_total(split: Split, context: Context) -> None:
    """Raises FileError if all row groups of the file together have fewer rows than the file states.
    This is checked only in the last split of a file. A file that states 0 rows is accepted, because
    some old programs always state 0."""
    with open_parquet(split.files[0], context.base) as opened:
        groups, stated = opened.num_row_groups, opened.metadata.num_rows
        if split.stop not in (-1, groups):
            return
        found = sum(opened.metadata.row_group(n).num_rows for n in range(groups))
    if found < stated:
        fault = f"the row groups have {found} rows, but the file states {stated}."
        raise FileError(fault, split.files[0].uri, _FIX)


def _group_by_group(
    split: Split, context: Context, begin: int
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yields the rows of a split, from the row with the number `begin` on, as `record_batches`
    does, but reads each row group by itself.

    The columns of a damaged row group may have different numbers of rows; then the values in a row
    may not belong together. This is known only at the end of the row group. So a row group is read
    completely before its first row is yielded.
    """
    lost = LostRows()
    at = split.first
    for number, rows in _group_rows(split, context):
        group = Split(split.files, number, number + 1)
        if begin >= at + rows:
            at += rows
            continue
        try:
            for _ in _read(group, context):
                pass
        except FileError as error:
            lost.add(max(at, begin), at + rows, error)
            at += rows
            continue
        for batch in _read(group, context):
            if at + batch.num_rows > begin:
                yield max(at, begin), batch.slice(max(0, begin - at))
            at += batch.num_rows
    lost.check()


def _group_rows(split: Split, context: Context) -> list[tuple[int, int]]:
    """Returns (number of the row group, its number of rows) for each row group of a split."""
    with open_parquet(split.files[0], context.base) as opened:
        return [(n, opened.metadata.row_group(n).num_rows) for n in _groups(opened, split)]


def _read(split: Split, context: Context) -> Iterator[pa.RecordBatch]:
    """Yields the rows of a split. Raises FileError at the end if the number of rows is not the
    number in the metadata: Arrow raises no error for a file that is cut off."""
    dictionaries = _long_repeated(split, context)
    with open_parquet(split.files[0], context.base, dictionaries) as opened:
        groups = _groups(opened, split)
        size = _batch_rows(opened.metadata, groups)
        found, stated = 0, sum(opened.metadata.row_group(n).num_rows for n in groups)
        for batch in opened.iter_batches(size, groups, use_threads=False):
            check_layout(batch)  # pyarrow takes the indices of a dictionary from the file unread
            found += batch.num_rows
            yield batch
    if found != stated:
        what = "the row group has" if len(groups) == 1 else "the row groups have"
        fault = f"{what} {found} rows, but the metadata of the file states {stated}."
        raise FileError(fault, split.files[0].uri, _FIX)


def _long_repeated(split: Split, context: Context) -> list[str]:
    with open_parquet(split.files[0], context.base) as opened:
        groups = _groups(opened, split)
        paths = repetitive(opened, groups)
    if not paths:
        return []
    with open_parquet(split.files[0], context.base, paths) as opened:
        return long_repeated(opened, groups, paths)


def _groups(opened: pq.ParquetFile, split: Split) -> range:
    return range(split.start, opened.num_row_groups if split.stop < 0 else split.stop)


def count_rows(split: Split, context: Context) -> Count:
    """Returns the number of rows in a split, which is read from the metadata of the file."""
    return Count("rows", sum(rows for _, rows in _group_rows(split, context)))


def _batch_rows(metadata: pq.FileMetaData, groups: range) -> int:
    heaviest = max(
        (metadata.row_group(n).total_byte_size // max(1, metadata.row_group(n).num_rows)
         for n in groups), default=1,
    )  # fmt: skip
    return max(1, min(BATCH_ROWS, BATCH_BYTES // max(1, heaviest)))
