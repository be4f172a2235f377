"""The record: one Arrow row for every modality, and the few functions that build and read rows.

A caption, a web document, a scanned page and a grounded image have the same columns, so every
step works on every modality it makes sense for. `FIELDS` documents each one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests.errors import ManifestError

MODALITIES = (
    "caption",
    "interleaved",
    "ocr",
    "document",
    "grounding",
    "video",
    "knowledge",
    "stem",
    "agent",
    "chat",
    "text",
)

SEGMENT = pa.struct(
    [
        ("kind", pa.string()),
        ("text", pa.string()),
        ("media", pa.int32()),
        ("role", pa.string()),
        ("loss", pa.bool_()),
    ]
)
MEDIA = pa.struct(
    [
        ("kind", pa.string()),
        ("uri", pa.string()),
        ("offset", pa.int64()),
        ("length", pa.int64()),
        ("mime", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("duration", pa.float64()),
        ("fps", pa.float64()),
        ("frames", pa.int64()),
        ("digest", pa.string()),
        ("orientation", pa.int8()),
        ("camera", pa.list_(pa.float32())),
    ]
)
OBJECT = pa.struct(
    [
        ("label", pa.string()),
        ("media", pa.int32()),
        ("box", pa.list_(pa.float32())),
        ("point", pa.list_(pa.float32())),
        ("polygon", pa.list_(pa.list_(pa.float32()))),
        ("box3d", pa.list_(pa.float32())),
        ("start", pa.float64()),
        ("end", pa.float64()),
        ("text", pa.string()),
        ("track", pa.string()),
        ("attributes", pa.string()),
    ]
)


class Field(NamedTuple):
    """One column of the record: its name, Arrow type, and what it means."""

    name: str
    type: pa.DataType
    meaning: str


FIELDS = (
    Field("id", pa.string(), "32 hex digits: hash of (source name, key within the source)"),
    Field("modality", pa.string(), "one of " + ", ".join(MODALITIES)),
    Field("source", pa.string(), "the recipe's name for where the record came from"),
    Field("origin", pa.string(), "provenance, `uri#key`: recorded, never part of identity"),
    Field(
        "content",
        pa.list_(SEGMENT),
        "in order: kind (text, image, video); text; media, an index into `media`; "
        "role (null, system, user, assistant); loss, whether training learns to write it",
    ),
    Field(
        "media",
        pa.list_(MEDIA),
        "references: kind; uri; offset and length in bytes (offset null: the whole file); mime; "
        "width and height in stored pixels, before EXIF orientation; duration in seconds; fps; "
        "frames; digest of the bytes where a step computed it; orientation as Exif numbers it, 1 "
        "to 8, null where nobody looked; camera: fx fy cx cy in pixels of the picture as it is "
        "shown, null where unknown",
    ),
    Field(
        "objects",
        pa.list_(OBJECT),
        "annotated things: label; media index; box x1 y1 x2 y2, point x y and polygon (rings of "
        "x y ...) in [0,1000] of the picture as it is shown, orientation applied; box3d: centre "
        "xyz and size xyz in metres, x right, y down, z forward, roll pitch yaw in radians; start "
        "and end in seconds; text; track; attributes, JSON of what else the annotation says",
    ),
    Field("language", pa.string(), "BCP 47 tag, or null where nothing has said"),
    Field("raw_text", pa.string(), "the text as ingested, kept when a step rewrites it"),
    Field("meta", pa.string(), "JSON: whatever else the source had"),
)
SCHEMA = pa.schema([(field.name, field.type) for field in FIELDS])


def record_id(source: str, key: str) -> str:
    """The identity of a record: the same wherever its files lie."""
    return hashlib.blake2b(f"{source}\0{key}".encode(), digest_size=16).hexdigest()


def record_ids(source: str, keys: Iterable[str]) -> pa.Array:
    """`record_id` of every key, as an Arrow string array."""
    start = hashlib.blake2b(f"{source}\0".encode(), digest_size=16)

    def one(key: str) -> str:
        state = start.copy()
        state.update(key.encode("utf-8", "surrogatepass"))
        return state.hexdigest()

    return pa.array([one(key) for key in keys], pa.string())


def child_ids(parents: Sequence[str], ordinals: Sequence[int]) -> pa.Array:
    """Identities of rows that a reshape step makes: the hash of (parent id, ordinal)."""
    return pa.array([record_id(p, str(n)) for p, n in zip(parents, ordinals, strict=True)])


def random_keys(ids: pa.Array | pa.ChunkedArray, seed: int) -> np.ndarray:
    """A uniform uint64 for each id: every random decision about a record is taken from this.

    The id is itself a hash, so its first 64 bits mixed with the seed (splitmix64, Steele et al.
    2014) are uniform whatever the number of workers, their order, or the data around it.
    """
    mixed_seed = _splitmix64(np.array([seed % 2**64], np.uint64))
    words = _first_16_digits(one_chunk(ids))
    keys = np.empty(len(words), np.uint64)
    for start in range(0, len(words), _CACHED_ROWS):
        block = slice(start, start + _CACHED_ROWS)
        keys[block] = _splitmix64(_hex_to_uint64(words[block]) ^ mixed_seed)
    return keys


def id_keys(ids: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """A uint64 for each id, in the order of the ids: its first 16 hex digits."""
    return _hex_to_uint64(_first_16_digits(one_chunk(ids)))


_CACHED_ROWS = 16384
"""Rows at once, so that the numbers in between stay in a core's cache: half the time, measured."""


def _first_16_digits(ids: pa.Array) -> np.ndarray:
    """The first 16 hex digits of each id as two big-endian words, in place where ids are ours."""
    if not len(ids):
        return np.empty((0, 2), ">u8")
    lengths = np.diff(np.frombuffer(ids.buffers()[1], np.int32, len(ids) + 1, 4 * ids.offset))
    if ids.null_count or (lengths < 16).any():
        raise ManifestError("an id is null, or shorter than 16 hex digits", "column 'id'")
    if (lengths != 32).any():
        ids = pc.binary_slice(ids.cast(pa.binary()), 0, 16)
    width = 32 if (lengths == 32).all() else 16
    start = np.frombuffer(ids.buffers()[1], np.int32, 1, 4 * ids.offset)[0]
    digits = np.frombuffer(ids.buffers()[2], np.uint8, width * len(ids), start)
    words: np.ndarray = digits.view(">u8").reshape(len(ids), width // 8)[:, :2]
    return words


def _hex_to_uint64(words: np.ndarray) -> np.ndarray:
    """Eight digits a word at once: each byte to its nibble, then nibbles to bytes to halves."""
    x = words.astype(np.uint64)
    letters = (x >> np.uint64(6)) & np.uint64(0x0101010101010101)
    x = (x & np.uint64(0x0F0F0F0F0F0F0F0F)) + letters * np.uint64(9)
    x = (x | x >> np.uint64(4)) & np.uint64(0x00FF00FF00FF00FF)
    x = (x | x >> np.uint64(8)) & np.uint64(0x0000FFFF0000FFFF)
    x = (x | x >> np.uint64(16)) & np.uint64(0xFFFFFFFF)
    keys: np.ndarray = (x[:, 0] << np.uint64(32)) | x[:, 1]
    return keys


def _splitmix64(x: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        x = x + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed: np.ndarray = x ^ (x >> np.uint64(31))
    return mixed


def from_rows(rows: list[dict[str, Any]], source: str, modality: str) -> pa.Table:
    """Records from Python rows with `key`, `origin`, `content` and optionally the other columns."""
    columns: dict[str, Any] = {
        field.name: pa.array([row.get(field.name) for row in rows], field.type)
        for field in FIELDS
        if field.name not in ("id", "modality", "source")
    }
    for name in ("content", "media", "objects"):
        columns[name] = _lists_never_null(columns[name])
    columns["id"] = record_ids(source, (row["key"] for row in rows))
    columns["source"] = pa.repeat(source, len(rows))
    columns["modality"] = pa.repeat(modality, len(rows))
    return pa.table({name: columns[name] for name in SCHEMA.names}, schema=SCHEMA)


def _lists_never_null(lists: pa.Array) -> pa.Array:
    if not lists.null_count:
        return lists
    return pa.ListArray.from_arrays(lists.offsets, lists.values).cast(lists.type)


class Pictures(NamedTuple):
    """One picture a row, as columns: the media reference of a caption record."""

    uri: pa.Array
    offset: pa.Array | None = None
    length: pa.Array | None = None
    mime: pa.Array | None = None
    width: pa.Array | None = None
    height: pa.Array | None = None
    orientation: pa.Array | None = None
    camera: pa.Array | None = None


def captions(
    source: str,
    keys: list[str],
    origins: pa.Array,
    texts: pa.Array,
    pictures: Pictures | None,
    meta: pa.Array | None = None,
    language: pa.Array | None = None,
) -> pa.Table:
    """Caption records from columns, with no Python object a row: [picture, text] in each.

    A null text makes a record of the picture alone; no pictures make records of text alone.
    """
    rows = len(keys)
    has_text = np.asarray(texts.is_valid())
    starts = np.concatenate([[0], np.cumsum(int(pictures is not None) + has_text)]).astype(np.int32)
    is_text = np.ones(int(starts[-1]), bool)
    if pictures is not None:
        is_text[starts[:-1]] = False
    where = np.cumsum(is_text) - 1
    said = texts.drop_null()
    text = said.take(pa.array(where, mask=~is_text))
    kinds = pa.array(["image", "text"]).take(pa.array(is_text.astype(np.int8)))
    index = pa.array(np.zeros(len(is_text), np.int32), mask=is_text)
    nothing = pa.nulls(len(is_text), pa.string())
    segments = pa.StructArray.from_arrays(
        [kinds, text.cast(pa.string()), index, nothing, pa.array(is_text)],
        fields=list(SEGMENT),
    )
    columns = {
        "id": record_ids(source, keys),
        "modality": pa.repeat("text" if pictures is None else "caption", rows),
        "source": pa.repeat(source, rows),
        "origin": origins.cast(pa.string()),
        "content": pa.ListArray.from_arrays(pa.array(starts), segments),
        "media": _no_lists(rows, MEDIA)
        if pictures is None
        else _one_each(_references(pictures, rows)),
        "objects": _no_lists(rows, OBJECT),
        "language": pa.nulls(rows, pa.string()) if language is None else language,
        "raw_text": pa.nulls(rows, pa.string()),
        "meta": pa.nulls(rows, pa.string()) if meta is None else meta,
    }
    return pa.table(columns, schema=SCHEMA)


def _references(pictures: Pictures, rows: int) -> pa.Array:
    given = {**pictures._asdict(), "kind": pa.repeat("image", rows)}
    columns = [
        pa.nulls(rows, field.type)
        if given.get(field.name) is None
        else given[field.name].cast(field.type)
        for field in MEDIA
    ]
    return pa.StructArray.from_arrays(columns, fields=list(MEDIA))


def _one_each(values: pa.Array) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(np.arange(len(values) + 1, dtype=np.int32)), values)


def _no_lists(rows: int, kind: pa.DataType) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(np.zeros(rows + 1, np.int32)), pa.array([], kind))


def one_chunk(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """The column as one array; no copy where it already is one."""
    if isinstance(column, pa.ChunkedArray):
        return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    return column


def texts(content: pa.Array | pa.ChunkedArray) -> pa.Array:
    """The text of every record: its text segments joined by a newline; "" where it has none."""
    lists = one_chunk(content)
    first = lists.offsets[0].as_py() if len(lists) else 0
    text = pc.struct_field(lists.flatten(), "text")
    spoken = np.asarray(text.is_valid())
    before = np.concatenate([[0], np.cumsum(spoken)]).astype(np.int32)
    offsets = before[np.asarray(lists.offsets) - first]
    said = text.drop_null()
    if np.all(np.diff(offsets) == 1):
        return said
    return pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets), said), "\n")


def media_lists(media: pa.Array | pa.ChunkedArray) -> tuple[np.ndarray, pa.Array]:
    """Offsets (rows + 1) and the flat media structs they cut: for work on whole columns."""
    lists = one_chunk(media)
    offsets = np.asarray(lists.offsets)
    flat = lists.flatten()
    return offsets - (offsets[0] if len(offsets) else 0), flat
