"""Finds and reads columns of a table that hold images: encoded bytes, or structs of bytes and a
path."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.ingest.columns import column
from curate.ingest.formats.arrow_types import plain_array
from curate.ingest.formats.nested_tables import RowBatch
from curate.ingest.images import OpenedImage, keep_image
from curate.ingest.media_root import open_below
from curate.ingest.reader import Context
from manifests.errors import RowError

IMAGE_NAMES = ("image", "images")
"""Names of image columns in Hugging Face datasets. A cell is `{bytes, path}`, bytes, or a list of
these."""
ENCODED_NAMES = ("jpg", "png", "webp")
"""Names of img2dataset's columns of encoded images."""
_DATA = (pa.binary(), pa.null(), None)
_PATHS = (pa.string(), pa.null(), None)
"""_DATA and _PATHS are the allowed types of the fields `bytes` and `path` of an image; None stands
for an absent field."""


def image_column(schema: pa.Schema, *, or_paths: bool = False) -> str | None:
    """Returns the name of the first column `image` or `images` that holds images; None if there is
    none. Its cells are `{bytes, path}`, bytes, or lists of these. If `or_paths` is true and no
    column holds images, the first of these columns that has paths, or lists of paths, is
    returned."""
    named = {field.name: field.type for field in schema if field.name in IMAGE_NAMES}
    found = (name for name, kind in named.items() if holds_images(kind))
    paths = (name for name, kind in named.items() if or_paths and _holds_paths(kind))
    return next(itertools.chain(found, paths), None)


def bytes_column(schema: pa.Schema) -> str | None:
    """Returns the name of the column in which img2dataset stores encoded images: the first of
    ENCODED_NAMES that is a column of bytes; None if there is no such column."""
    types = {field.name: field.type for field in schema}
    return next((name for name in ENCODED_NAMES if types.get(name) == pa.binary()), None)


def is_list(kind: pa.DataType) -> bool:
    return isinstance(kind, pa.ListType)


def holds_images(kind: pa.DataType) -> bool:
    """Whether a column of this type can hold images, or lists of images."""
    if is_list(kind):
        kind = kind.value_type
    if pa.types.is_struct(kind):
        types = {field.name: field.type for field in kind}
        is_image = types.get("bytes") in _DATA and types.get("path") in _PATHS
        return is_image and bool({"bytes", "path"} & types.keys())
    return bool(kind == pa.binary())


def _holds_paths(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind.value_type if is_list(kind) else kind))


def bytes_and_paths(values: pa.Array) -> tuple[list[memoryview | None], list[str | None]]:
    """Returns the bytes and the paths of the images in a column. A value is None if an image has no
    bytes or no path.

    The bytes are not copied: each view refers to the column's memory.
    """
    if pa.types.is_string(values.type):
        return [None] * len(values), values.to_pylist()
    if not pa.types.is_struct(values.type):
        return byte_views(values), [None] * len(values)
    names = {field.name for field in values.type}
    data, paths = (
        pc.struct_field(values, name) if name in names else pa.nulls(len(values))
        for name in ("bytes", "path")
    )
    return byte_views(data.cast(pa.binary())), paths.to_pylist()


def byte_views(values: pa.Array) -> list[memoryview | None]:
    """Returns the values of a binary column as views into its buffer, without copies; None for a
    null value."""
    if not len(values):
        return []
    values = plain_array(values)
    _, offsets, data = values.buffers()
    at = np.frombuffer(offsets, np.int32, len(values) + 1, values.offset * 4)
    view = memoryview(data or b"").cast("B")
    slices = (view[start:stop] for start, stop in itertools.pairwise(at.tolist()))
    valid = values.is_valid().to_pylist()
    return [one if is_valid else None for one, is_valid in zip(slices, valid, strict=True)]


def open_images(
    batch: RowBatch, name: str, media_root: str, context: Context
) -> list[OpenedImage | RowError]:
    """Opens the image of each row, from the column `name`.

    If a cell has the bytes of the image, they are copied to a file beside the output part, and the
    Exif orientation is read. Otherwise, the cell is the path of the image below `media_root`, and
    the orientation is not read.
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
        return RowError(f"the row has no image: the column {name!r} is {path!r:.80}, not a path")
    return open_below(media_root, path, context.media)
