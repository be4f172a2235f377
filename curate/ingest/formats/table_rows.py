"""Tables whose cells hold lists, as rows by name: parquet, JSON lines, and JSON arrays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson
import pyarrow as pa

from curate.ingest.captions.hf_parquet import bytes_and_paths, holds_images
from curate.ingest.captions.llava import is_array
from curate.ingest.columns import column, plain_rows
from curate.ingest.formats import parquet
from curate.ingest.formats.json_captions import LEAST_SPLIT_BYTES, MOST_SPLITS, object_of
from curate.ingest.formats.json_elements import array_splits, batches, elements, object_keys
from curate.ingest.formats.lines import line_splits
from curate.ingest.formats.text_rows import Layout, rows
from curate.ingest.images import OpenedImage, kept
from curate.ingest.media_folder import opened_below
from curate.ingest.reader import Context, Head, Split
from manifests.errors import InputError, RowError
from manifests.storage import File

_PACKED = ("", ".gz", ".zst", ".bz2")
JSON = tuple(f".{kind}{end}" for kind in ("jsonl", "ndjson", "json") for end in _PACKED)
SUFFIXES = (*parquet.SUFFIXES, *JSON)
_BLANKS = b"\xef\xbb\xbf \t\r\n"


class RowBatch(NamedTuple):
    """Rows by name, their numbers in the file (from 0, lines from 1), and the broken ones.

    `table`: the rows of a parquet file with all columns: those of bytes are in no row.
    """

    numbers: list[int]
    rows: list[dict[str, Any]]
    broken: list[tuple[int, RowError]]
    table: pa.RecordBatch | None = None


def row_splits(file: File, context: Context) -> Iterator[Split]:
    """Small splits, for each row opens an image."""
    if _is_parquet(file):
        return parquet.row_group_splits(file, context)
    size_bytes = max(LEAST_SPLIT_BYTES, file.size // MOST_SPLITS)
    place = context.media.resolve(file.uri)
    if is_array(place):
        return array_splits(file, place, split_bytes=size_bytes)
    return line_splits(file, context, size_bytes)


def row_batches(split: Split, context: Context) -> Iterator[RowBatch]:
    """The rows of a split, some thousand at a time."""
    file = split.files[0]
    if _is_parquet(file):
        for batch in parquet.batches(split, context):
            told = plain_rows(batch.rows)
            yield RowBatch(batch.numbers.tolist(), told, batch.broken, batch.rows)
        return
    place = context.media.resolve(file.uri)
    if is_array(place):
        for some in batches(elements(place, *split[1:])):
            yield _sorted((element.number, _object(element)) for element in some)
        return
    for lines in rows(split, context, Layout("jsonl", [])):
        yield _sorted(lines)


def names_in(head: Head) -> set[str]:
    """The columns of a table, or the keys of the first object of an array or of JSON lines."""
    schema = parquet.sniffed_schema(head)
    if schema is not None:
        return set(schema.names)
    start = head.data.lstrip(_BLANKS)
    return set(object_keys(start[1:].lstrip(_BLANKS) if start.startswith(b"[") else start))


def first_row(head: Head) -> dict[str, Any] | None:
    """The first object of an array or of JSON lines, where a file is one of them."""
    start = head.data.lstrip(_BLANKS)
    try:
        if start.startswith(b"["):
            first = next(elements(head.file.uri), None)
            row = first and first.value()
        else:
            row = orjson.loads(start.partition(b"\n")[0])
    except (RowError, InputError, orjson.JSONDecodeError):
        return None
    return row if isinstance(row, dict) else None


def images_of(
    batch: RowBatch, image: str, root: str, context: Context
) -> list[OpenedImage | RowError]:
    """The image of each row: of bytes that are kept, or of the path below `root`."""
    table = batch.table
    if table is not None and image in table.schema.names:
        values = column(table, image)
        if holds_images(values.type) and not pa.types.is_list(values.type):
            pairs = zip(*bytes_and_paths(values), strict=True)
            return [
                _below(root, path, image, context) if data is None else kept(data, context, True)
                for data, path in pairs
            ]
    return [_below(root, _path(row.get(image)), image, context) for row in batch.rows]


def _is_parquet(file: File) -> bool:
    return file.name.lower().endswith(parquet.SUFFIXES)


def _object(element: Any) -> dict[str, Any] | RowError:
    try:
        return object_of(element)
    except RowError as error:
        return error


def _sorted(numbered: Any) -> RowBatch:
    """Rows and broken ones apart."""
    found = RowBatch([], [], [])
    for number, row in numbered:
        if isinstance(row, RowError):
            found.broken.append((number, row))
        else:
            found.numbers.append(number)
            found.rows.append(row)
    return found


def _path(value: object) -> object:
    return value.get("path") if isinstance(value, dict) else value


def _below(root: str, path: object, image: str, context: Context) -> OpenedImage | RowError:
    if not isinstance(path, str) or not path:
        return RowError(f"no image: {image!r} is {path!r:.80}")
    return opened_below(root, path, context.media)
