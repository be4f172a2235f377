"""Records without some of their media: content, media and objects cut and numbered anew."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests.record import media_lists


def without(table: pa.Table, gone: np.ndarray) -> dict[str, pa.Array]:
    """The columns content, media and objects without the media that are `gone`, (media,) bool in
    the order of the flat column; with them go the segments that show them and their objects."""
    offsets, flat = media_lists(table["media"])
    rows = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    stays = np.concatenate([[0], np.cumsum(~gone)])
    moved = stays[:-1] - stays[offsets[rows]] if len(rows) else np.zeros(0, np.int64)
    return {
        "media": _kept(offsets, flat, ~gone),
        "content": _renumbered(table["content"], offsets, gone, moved),
        "objects": _renumbered(table["objects"], offsets, gone, moved),
    }


def _renumbered(
    column: pa.ChunkedArray, media: np.ndarray, gone: np.ndarray, moved: np.ndarray
) -> pa.Array:
    """A list column whose structs point at media by number: `moved` is each medium's new one."""
    offsets, flat = media_lists(column)
    rows = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    points = pc.struct_field(flat, "media")
    some = np.asarray(points.is_valid())
    at = media[rows] + np.asarray(points.fill_null(0))
    stays = np.ones(len(rows), bool)
    stays[some] = ~gone[at[some]]
    number = np.zeros(len(rows), np.int32)
    number[some] = moved[at[some]]
    fields = [
        pa.array(number, pa.int32(), mask=~some) if field.name == "media" else flat.field(i)
        for i, field in enumerate(flat.type)
    ]
    return _kept(offsets, pa.StructArray.from_arrays(fields, fields=list(flat.type)), stays)


def _kept(offsets: np.ndarray, flat: pa.Array, stays: np.ndarray) -> pa.Array:
    """Lists of those values that stay."""
    before = np.concatenate([[0], np.cumsum(stays)])[offsets]
    return pa.ListArray.from_arrays(pa.array(before.astype(np.int32)), flat.filter(pa.array(stays)))
