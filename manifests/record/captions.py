"""Makes caption records from whole columns; each record has one image and one text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from manifests.media.header import Header
from manifests.media.reference import Reference
from manifests.record.ids import record_ids
from manifests.record.schema import MEDIA, OBJECT, SCHEMA, SEGMENT


class ImageColumns(NamedTuple):
    """The columns of the media struct, with one image for each record. A column that is None is
    filled with nulls."""

    uri: pa.Array
    offset: pa.Array | None = None
    length: pa.Array | None = None
    mime: pa.Array | None = None
    width: pa.Array | None = None
    height: pa.Array | None = None
    orientation: pa.Array | None = None
    camera: pa.Array | None = None

    @classmethod
    def from_images(cls, images: Sequence[tuple[Reference, Header, int | None]]) -> ImageColumns:
        """Returns the columns of `images`. Each image is (reference, header, Exif orientation or
        None if unknown)."""
        return cls(
            uri=pa.array([reference.uri for reference, _, _ in images], pa.string()),
            offset=pa.array([reference.offset for reference, _, _ in images], pa.int64()),
            length=pa.array([reference.length for reference, _, _ in images], pa.int64()),
            mime=pa.array([header.mime for _, header, _ in images], pa.string()),
            width=pa.array([header.width for _, header, _ in images], pa.int32()),
            height=pa.array([header.height for _, header, _ in images], pa.int32()),
            orientation=pa.array([orientation for _, _, orientation in images], pa.int8()),
        )


def captions(
    source: str,
    keys: list[str],
    origins: pa.Array,
    texts: pa.Array,
    images: ImageColumns | None,
    meta: pa.Array | None = None,
    language: pa.Array | None = None,
) -> pa.Table:
    """Returns caption records in `SCHEMA`; the `content` of a record is [image, text]. The records
    are made from whole columns, without a Python object for each record.

    A record whose text is null has only the image. If `images` is None, a record has only the text.
    """
    rows = len(keys)
    no_text = pa.nulls(rows, pa.string())
    columns = {
        "id": record_ids(source, keys),
        "modality": pa.repeat("text" if images is None else "caption", rows),
        "source": pa.repeat(source, rows),
        "origin": origins.cast(pa.string()),
        "content": _content(texts, images is not None),
        "media": _empty_lists(rows, MEDIA) if images is None else _lists_of_one(_media(images)),
        "objects": _empty_lists(rows, OBJECT),
        "language": no_text if language is None else language,
        "raw_text": no_text,
        "meta": no_text if meta is None else meta,
    }
    return pa.table(columns, schema=SCHEMA)


def _content(texts: pa.Array, with_image: bool) -> pa.Array:
    """Returns list<SEGMENT>, one list for each text: first the image if `with_image` is true, then
    the text if it is not null."""
    has_text = np.asarray(texts.is_valid())
    starts = np.concatenate([[0], np.cumsum(int(with_image) + has_text)]).astype(np.int32)
    is_text = np.ones(int(starts[-1]), bool)
    if with_image:
        is_text[starts[:-1]] = False
    text_number = pa.array(np.cumsum(is_text) - 1, mask=~is_text)
    segments = pa.StructArray.from_arrays(
        [
            pa.array(["image", "text"]).take(pa.array(is_text.astype(np.int8))),
            texts.drop_null().take(text_number).cast(pa.string()),
            pa.array(np.zeros(len(is_text), np.int32), mask=is_text),
            pa.nulls(len(is_text), pa.string()),
            pa.array(is_text),
        ],
        fields=list(SEGMENT),
    )
    return pa.ListArray.from_arrays(pa.array(starts), segments)


def _media(images: ImageColumns) -> pa.Array:
    rows = len(images.uri)
    given = {**images._asdict(), "kind": pa.repeat("image", rows)}
    columns = [
        pa.nulls(rows, field.type)
        if given.get(field.name) is None
        else given[field.name].cast(field.type)
        for field in MEDIA
    ]
    return pa.StructArray.from_arrays(columns, fields=list(MEDIA))


def _lists_of_one(values: pa.Array) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(np.arange(len(values) + 1, dtype=np.int32)), values)


def _empty_lists(rows: int, kind: pa.DataType) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(np.zeros(rows + 1, np.int32)), pa.array([], kind))
