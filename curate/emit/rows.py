"""The rows of a shard, made of records in whole columns: no Python object a row.

`messages` are what chat templates take: consecutive segments of one role are one message. A record
without roles becomes a user message of the media it starts with, and an assistant message of all
that follows, if anything does. In a record with roles, a segment without one belongs to the
message before it, or to the first one. Text that is null says nothing and is left out.

`images` and `videos` stand in the order in which `messages` mentions them, once a mention; media
that no segment mentions are not written. `objects.media` counts mentions of both from zero, and
is null where the annotated medium is not mentioned.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.emit.features import IMAGE, described, plain
from manifests.errors import RecipeError
from manifests.media import Reference
from manifests.record import MEDIA, OBJECT, media_lists, one_chunk
from manifests.step.spelling import nearest

ITEM = pa.struct([("type", pa.string()), ("text", pa.string())])
MESSAGE = pa.struct([("role", pa.string()), ("content", pa.list_(ITEM))])
_UNTOLD = ("kind", "digest", "orientation", "camera")
VIDEO = pa.struct([field for field in MEDIA if field.name not in _UNTOLD])
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
"""What every shard holds. Videos are references: their bytes stay where they are."""
MEDIA_KINDS = ("image", "video")


class Mentions(NamedTuple):
    """Media in the order a record's segments mention them. `offsets`: rows + 1, into `media`."""

    offsets: np.ndarray
    media: pa.StructArray

    def references(self) -> list[Reference]:
        columns = (pc.struct_field(self.media, f).to_pylist() for f in Reference._fields)
        return [Reference(*fields) for fields in zip(*columns, strict=True)]


class Segments(NamedTuple):
    """The segments of all records that say or show something, flat. `row`: whose each one is."""

    rows: int
    row: np.ndarray
    fields: pa.StructArray

    @classmethod
    def of(cls, table: pa.Table) -> Segments:
        offsets, flat = media_lists(table["content"])
        row = np.repeat(np.arange(table.num_rows), np.diff(offsets))
        says = pc.or_(pc.invert(_is(flat, "text")), pc.struct_field(flat, "text").is_valid())
        if not pc.all(says).as_py():
            row, flat = row[np.asarray(says)], flat.filter(says)
        return cls(table.num_rows, row, flat)

    def field(self, name: str) -> pa.Array:
        return pc.struct_field(self.fields, name)

    def is_kind(self, *kinds: str) -> np.ndarray:
        return np.asarray(_is(self.fields, *kinds))


def schema(records: pa.Schema, columns: list[str]) -> pa.Schema:
    """The schema of shards of these records, with the chosen further columns."""
    fields = [pa.field(name, kind) for name, kind in COLUMNS.items()]
    for name in columns:
        if name not in records.names:
            raise RecipeError(
                f"no column named '{name}'.", "shards.columns", nearest(name, records.names)
            )
        if name not in COLUMNS:
            fields.append(pa.field(name, plain(records.field(name).type)))
    return described(pa.schema(fields))


def faults(table: pa.Table) -> pa.Array:
    """Why a record cannot be written at all, null where it can: it shows media it does not have."""
    segments, (held, _) = Segments.of(table), media_lists(table["media"])
    why = np.full(table.num_rows, None, object)
    owner, stated = _object_media(table)
    lost = np.asarray(stated.is_valid()) & ~_within(stated, owner, held)
    why[owner[lost]] = "an object lies on a medium the record does not have"
    shows = ~segments.is_kind("text")
    row, index = segments.row[shows], segments.field("media").filter(pa.array(shows))
    why[row[~_within(index, row, held)]] = "a segment shows a medium the record does not have"
    why[row[~segments.is_kind(*MEDIA_KINDS)[shows]]] = "a segment is no text, image or video"
    return pa.array(why, pa.string())


def _within(index: pa.Array, row: np.ndarray, held: np.ndarray) -> np.ndarray:
    at = np.asarray(index.fill_null(-1))
    within: np.ndarray = (at >= 0) & (at < np.diff(held)[row])
    return within


def _object_media(table: pa.Table) -> tuple[np.ndarray, pa.Array]:
    """The record that each annotated object belongs to, and the medium it says it lies on."""
    offsets, flat = media_lists(table["objects"])
    return np.repeat(np.arange(table.num_rows), np.diff(offsets)), pc.struct_field(flat, "media")


def _mentioned(table: pa.Table, *kinds: str) -> tuple[np.ndarray, np.ndarray]:
    """Of every mention of media: its record, and its place among the media of all records."""
    segments, (held, _) = Segments.of(table), media_lists(table["media"])
    shows = segments.is_kind(*kinds)
    row, index = segments.row[shows], segments.field("media").filter(pa.array(shows))
    return row, held[row] + np.asarray(index)


def mentions(table: pa.Table, *kinds: str) -> Mentions:
    """The media of these kinds, in order of mention."""
    row, at = _mentioned(table, *kinds)
    _, media = media_lists(table["media"])
    return Mentions(_offsets(row, table.num_rows), media.take(pa.array(at)))


def messages(table: pa.Table) -> pa.Array:
    """The conversation of every record."""
    segments = Segments.of(table)
    roles, speaker = _speakers(segments)
    row, size = segments.row, len(segments.row)
    opens = np.ones(size, bool)
    opens[1:] = (row[1:] != row[:-1]) | (speaker[1:] != speaker[:-1])
    starts = np.flatnonzero(opens)
    text = pc.if_else(_is(segments.fields, "text"), segments.field("text"), None)
    items = pa.StructArray.from_arrays([segments.field("kind"), text], fields=list(ITEM))
    content = pa.ListArray.from_arrays(_int32(np.append(starts, size)), items)
    spoken = [roles.take(pa.array(speaker[starts])), content]
    said = pa.StructArray.from_arrays(spoken, fields=list(MESSAGE))
    return pa.ListArray.from_arrays(_int32(_offsets(row[starts], segments.rows)), said)


def _speakers(segments: Segments) -> tuple[pa.Array, np.ndarray]:
    """The names of roles, and which of them each segment has."""
    encoded = segments.field("role").dictionary_encode()
    stated = np.asarray(encoded.indices.fill_null(-1))
    user, assistant = len(encoded.dictionary), len(encoded.dictionary) + 1
    roles = pa.concat_arrays([encoded.dictionary, pa.array(["user", "assistant"])])
    row, place = segments.row, np.arange(len(segments.row))
    first_text = np.full(segments.rows, len(place))
    texts = np.flatnonzero(segments.is_kind("text"))[::-1]
    first_text[row[texts]] = texts
    speaker = np.where(place < first_text[row], user, assistant)
    has_roles = np.zeros(segments.rows, bool)
    has_roles[row[stated >= 0]] = True
    return roles, np.where(has_roles[row], _carried(stated, row), speaker)


def _carried(stated: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Roles carried on to the segments without one: from before, else from the first after."""
    last, place = len(stated) - 1, np.arange(len(stated))
    known = stated >= 0
    before = np.maximum.accumulate(np.where(known, place, 0))
    after = np.minimum.accumulate(np.where(known, place, last)[::-1])[::-1]
    mine = known[before] & (row[before] == row)
    return stated[np.where(mine, before, after)]


def objects(table: pa.Table) -> pa.Array:
    """The annotated objects, their media counted as `messages` mentions them."""
    offsets, flat = media_lists(table["objects"])
    held, media = media_lists(table["media"])
    row, at = _mentioned(table, *MEDIA_KINDS)
    first = np.full(len(media) + 1, -1, np.int32)
    first[at[::-1]] = (np.arange(len(row)) - _offsets(row, table.num_rows)[row])[::-1]
    owner, stated = _object_media(table)
    mention = first[held[owner] + np.asarray(stated.fill_null(0))]
    unsaid = np.asarray(stated.is_null()) | (mention < 0)
    given = {"media": pa.array(mention, mask=unsaid)}
    columns = [given.get(f.name, pc.struct_field(flat, f.name)) for f in OBJECT]
    known = pa.StructArray.from_arrays(columns, fields=list(OBJECT))
    return pa.ListArray.from_arrays(_int32(offsets), known)


def videos(table: pa.Table) -> pa.Array:
    shown = mentions(table, "video")
    columns = [pc.struct_field(shown.media, field.name) for field in VIDEO]
    values = pa.StructArray.from_arrays(columns, fields=list(VIDEO))
    return pa.ListArray.from_arrays(_int32(shown.offsets), values)


def cameras(table: pa.Table) -> pa.Array:
    """fx fy cx cy of each image's camera, in the order of `images`; an empty list for a record of
    none of whose images it is known."""
    shown = mentions(table, "image")
    each = pc.struct_field(shown.media, "camera")
    row = np.repeat(np.arange(table.num_rows), np.diff(shown.offsets))
    known = np.bincount(row[np.asarray(each.is_valid())], minlength=table.num_rows) > 0
    told = each.filter(pa.array(known[row]))
    return pa.ListArray.from_arrays(_int32(_offsets(row[known[row]], table.num_rows)), told)


MADE = {"messages": messages, "videos": videos, "cameras": cameras, "objects": objects}


def columns(table: pa.Table, schema: pa.Schema) -> dict[str, pa.Array]:
    """Every column of the shard but the images, whose bytes nobody has read yet."""
    return {
        field.name: MADE[field.name](table)
        if field.name in MADE
        else one_chunk(table[field.name]).cast(field.type)
        for field in schema
        if field.name != "images"
    }


def _is(segments: pa.StructArray, *kinds: str) -> pa.Array:
    return pc.is_in(pc.struct_field(segments, "kind"), pa.array(kinds))


def _offsets(row: np.ndarray, rows: int) -> np.ndarray:
    """Where each row's values begin, given the row of every value; rows + 1 of them."""
    return np.searchsorted(row, np.arange(rows + 1))


def _int32(offsets: np.ndarray) -> pa.Array:
    return pa.array(offsets.astype(np.int32))
