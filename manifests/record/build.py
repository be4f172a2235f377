"""Records built from Python rows or from whole columns."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from manifests.record.ids import record_ids
from manifests.record.schema import FIELDS, MEDIA, OBJECT, SCHEMA, SEGMENT


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


class ImageColumns(NamedTuple):
    """One image a row, as columns: the media reference of a caption record."""

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
    images: ImageColumns | None,
    meta: pa.Array | None = None,
    language: pa.Array | None = None,
) -> pa.Table:
    """Caption records from columns, with no Python object a row: [image, text] in each.

    A null text makes a record of the image alone; no images make records of text alone.
    """
    rows = len(keys)
    has_text = np.asarray(texts.is_valid())
    starts = np.concatenate([[0], np.cumsum(int(images is not None) + has_text)]).astype(np.int32)
    is_text = np.ones(int(starts[-1]), bool)
    if images is not None:
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
        "modality": pa.repeat("text" if images is None else "caption", rows),
        "source": pa.repeat(source, rows),
        "origin": origins.cast(pa.string()),
        "content": pa.ListArray.from_arrays(pa.array(starts), segments),
        "media": _no_lists(rows, MEDIA) if images is None else _one_each(_references(images, rows)),
        "objects": _no_lists(rows, OBJECT),
        "language": pa.nulls(rows, pa.string()) if language is None else language,
        "raw_text": pa.nulls(rows, pa.string()),
        "meta": pa.nulls(rows, pa.string()) if meta is None else meta,
    }
    return pa.table(columns, schema=SCHEMA)


def _references(images: ImageColumns, rows: int) -> pa.Array:
    given = {**images._asdict(), "kind": pa.repeat("image", rows)}
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
