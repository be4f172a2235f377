"""Builds the columns of a shard from whole columns of records, without a Python object for each
row.

`images` and `videos` are in the order in which `messages` shows them: an image that two segments
show occurs twice, and an image or video that no segment shows is not written. `objects.media` is
the position, from 0, of the annotated image or video among the images and videos of `messages`. If
the messages show it several times, this is the first position; if they do not show it, it is
null.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.emit.features import IMAGE, plain_type, with_features
from curate.emit.messages import MESSAGE, messages
from manifests.errors import RecipeError
from manifests.record import MEDIA, OBJECT, media_lists, one_chunk
from manifests.record.segments import MEDIA_KINDS, Segments, row_offsets, shown_indices, shown_media
from manifests.step.spelling import nearest

_NOT_IN_VIDEO = ("kind", "digest", "orientation", "camera")
VIDEO = pa.struct([field for field in MEDIA if field.name not in _NOT_IN_VIDEO])
COLUMNS = {
    "id": pa.string(),
    "modality": pa.string(),
    "source": pa.string(),
    "origin": pa.string(),
    "messages": pa.list_(MESSAGE),
    "images": pa.list_(IMAGE),
    "videos": pa.list_(VIDEO),
    "cameras": pa.list_(pa.list_(pa.float32())),
    "objects": pa.list_(OBJECT),
    "language": pa.string(),
    "meta": pa.string(),
}
"""The columns of every shard. Images are bytes; videos are references to files, which are not
copied."""


def schema(records: pa.Schema, columns: list[str]) -> pa.Schema:
    """Returns the schema of shards of records with the schema `records`. `columns` are measures to
    add as columns."""
    check_columns(columns, records.names)
    fields = [pa.field(name, kind) for name, kind in COLUMNS.items()]
    for name in columns:
        if name not in COLUMNS:
            fields.append(pa.field(name, plain_type(records.field(name).type)))
    return with_features(pa.schema(fields))


def check_columns(columns: list[str], known: list[str], place: str = "shards.columns") -> None:
    """Raises RecipeError if records with the columns `known` lack one of `columns`."""
    for name in columns:
        if name not in known:
            own = [column for column in known if column.startswith(f"{name}.")]
            fix = f"The columns of the step {name} are {', '.join(own)}." if own else ""
            raise RecipeError(f"no column named '{name}'.", place, fix or nearest(name, known))


def faults(table: pa.Table) -> pa.Array:
    """Returns, for each record, the reason why the record cannot be written in any format (string),
    or null."""
    segments, (offsets, _) = Segments.from_table(table), media_lists(table["media"])
    counts = np.diff(offsets)
    fault = np.full(table.num_rows, None, object)
    object_row, object_media = _object_media(table)
    missing = np.asarray(object_media.is_valid()) & ~_exists(object_media, counts[object_row])
    fault[object_row[missing]] = (
        "an annotated object refers to an image or video that the record does not have"
    )
    shows = ~segments.is_kind("text")
    row, index = segments.row[shows], segments.field("media").filter(pa.array(shows))
    fault[row[~_exists(index, counts[row])]] = (
        "a segment refers to an image or video that the record does not have"
    )
    fault[row[~segments.is_kind(*MEDIA_KINDS)[shows]]] = (
        "a segment is neither a text, an image nor a video"
    )
    return pa.array(fault, pa.string())


def _exists(index: pa.Array, count: np.ndarray) -> np.ndarray:
    """Returns, for each i, whether index[i] is an index into a list of count[i] values; false if
    index[i] is null."""
    at = np.asarray(index.fill_null(-1))
    exists: np.ndarray = (at >= 0) & (at < count)
    return exists


def _object_media(table: pa.Table) -> tuple[np.ndarray, pa.Array]:
    """Returns two arrays with a value for each annotated object: the number of its record, and the
    index of its image or video among the media of that record."""
    offsets, flat = media_lists(table["objects"])
    return np.repeat(np.arange(table.num_rows), np.diff(offsets)), pc.struct_field(flat, "media")


def objects(table: pa.Table) -> pa.Array:
    """Returns the annotated objects of each record as list<OBJECT>. The field `media` of an object
    becomes the position of the object's image or video among the images and videos that the
    messages show; it is null if the messages do not show the image or video."""
    offsets, flat = media_lists(table["objects"])
    media_offsets, media = media_lists(table["media"])
    row, index = shown_indices(table, *MEDIA_KINDS)
    first = np.full(len(media) + 1, -1, np.int32)
    first[index[::-1]] = (np.arange(len(row)) - row_offsets(row, table.num_rows)[row])[::-1]
    object_row, object_media = _object_media(table)
    number = first[media_offsets[object_row] + np.asarray(object_media.fill_null(0))]
    not_shown = np.asarray(object_media.is_null()) | (number < 0)
    given = {"media": pa.array(number, mask=not_shown)}
    columns = [given.get(f.name, pc.struct_field(flat, f.name)) for f in OBJECT]
    structs = pa.StructArray.from_arrays(columns, fields=list(OBJECT))
    return pa.ListArray.from_arrays(_int32(offsets), structs)


def videos(table: pa.Table) -> pa.Array:
    """Returns references to the videos of each record's content as list<VIDEO>."""
    shown = shown_media(table, "video")
    columns = [pc.struct_field(shown.media, field.name) for field in VIDEO]
    structs = pa.StructArray.from_arrays(columns, fields=list(VIDEO))
    return pa.ListArray.from_arrays(_int32(shown.offsets), structs)


def cameras(table: pa.Table) -> pa.Array:
    """Returns fx fy cx cy of the camera of each image in the column `images`; null if unknown.

    A record without any known camera has an empty list.
    """
    shown = shown_media(table, "image")
    camera = pc.struct_field(shown.media, "camera")
    row = np.repeat(np.arange(table.num_rows), np.diff(shown.offsets))
    has_camera = np.bincount(row[np.asarray(camera.is_valid())], minlength=table.num_rows) > 0
    values = camera.filter(pa.array(has_camera[row]))
    return pa.ListArray.from_arrays(_int32(row_offsets(row[has_camera[row]], len(table))), values)


BUILT = {"messages": messages, "videos": videos, "cameras": cameras, "objects": objects}
"""The columns that are not copied from the record, and the function that builds each column."""


def columns(table: pa.Table, schema: pa.Schema) -> dict[str, pa.Array]:
    """Returns every column of a shard with this schema, except `images`, whose bytes are read
    later."""
    return {
        field.name: BUILT[field.name](table)
        if field.name in BUILT
        else one_chunk(table[field.name]).cast(field.type)
        for field in schema
        if field.name != "images"
    }


def _int32(offsets: np.ndarray) -> pa.Array:
    return pa.array(offsets.astype(np.int32))
