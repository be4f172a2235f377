"""Columns of a table that hold images: encoded bytes, or structs of bytes and a path."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.ingest.columns import column
from curate.ingest.formats.nested_tables import RowBatch
from curate.ingest.images import OpenedImage, keep_image
from curate.ingest.media_root import open_below
from curate.ingest.reader import Context
from manifests.errors import RowError

IMAGE_NAMES = ("image", "images")
"""Names of image columns in Hugging Face datasets. A cell is `{bytes, path}` or a list of such
structs."""
ENCODED_NAMES = ("jpg", "png", "webp")
"""Names of img2dataset's columns of encoded images."""


def image_column(schema: pa.Schema) -> str | None:
    """The name of a Hugging Face image column; None if there is no such column. Its cells are
    `{bytes, path}`, lists of such structs, or bytes."""
    return next((f.name for f in schema if f.name in IMAGE_NAMES and holds_images(f.type)), None)


def bytes_column(schema: pa.Schema) -> str | None:
    """The name of an img2dataset column of encoded images; None if there is no such column."""
    types = {field.name: field.type for field in schema}
    return next((name for name in ENCODED_NAMES if is_bytes(types.get(name))), None)


def is_list(kind: pa.DataType) -> bool:
    return isinstance(kind, pa.ListType | pa.LargeListType | pa.FixedSizeListType)


def is_bytes(kind: pa.DataType | None) -> bool:
    return kind in (pa.binary(), pa.large_binary())


def holds_images(kind: pa.DataType) -> bool:
    """Whether a column of this type can hold images, or lists of images."""
    if is_list(kind):
        kind = kind.value_type
    if pa.types.is_struct(kind):
        names = {field.name for field in kind}
        return "bytes" in names or "path" in names
    return is_bytes(kind)


def bytes_and_paths(values: pa.Array) -> tuple[list[memoryview | None], list[str | None]]:
    """The bytes and the paths of the images in a column. Missing bytes or paths are None.

    The bytes are not copied: each view refers to the column's memory.
    """
    if not pa.types.is_struct(values.type):
        return byte_views(values), [None] * len(values)
    names = {field.name for field in values.type}
    nothing = pa.nulls(len(values), pa.binary())
    data = pc.struct_field(values, "bytes") if "bytes" in names else nothing
    paths = pc.struct_field(values, "path") if "path" in names else nothing
    return byte_views(data), paths.to_pylist()


def byte_views(values: pa.Array) -> list[memoryview | None]:
    """The values of a binary column as views into its buffer; None for null."""
    if not len(values):
        return []
    _, offsets, data = values.buffers()
    kind = np.int64 if values.type == pa.large_binary() else np.int32
    at = np.frombuffer(offsets, kind, len(values) + 1, values.offset * np.dtype(kind).itemsize)
    view = memoryview(data or b"").cast("B")
    slices = (view[start:stop] for start, stop in itertools.pairwise(at.tolist()))
    valid = values.is_valid().to_pylist()
    return [one if is_valid else None for one, is_valid in zip(slices, valid, strict=True)]


def open_images(
    batch: RowBatch, name: str, media_root: str, context: Context
) -> list[OpenedImage | RowError]:
    """Opens the image of each row of a nested table, from its column `name`. Also reads the Exif
    orientation.

    If a cell has the bytes of the image, they are copied to a file beside the output part.
    Otherwise, the image is opened by its path below `media_root`.
    """
    table = batch.table
    if table is not None and name in table.schema.names:
        values = column(table, name)
        if holds_images(values.type) and not pa.types.is_list(values.type):
            pairs = zip(*bytes_and_paths(values), strict=True)
            return [
                _open_path(media_root, path, name, context)
                if data is None
                else keep_image(data, context, with_orientation=True)
                for data, path in pairs
            ]
    return [_open_path(media_root, _path(row.get(name)), name, context) for row in batch.rows]


def _path(value: object) -> object:
    return value.get("path") if isinstance(value, dict) else value


def _open_path(
    media_root: str, path: object, name: str, context: Context
) -> OpenedImage | RowError:
    if not isinstance(path, str) or not path:
        return RowError(f"the row has no image: {name!r} is {path!r:.80}")
    return open_below(media_root, path, context.media)
