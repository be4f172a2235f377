"""Removes images and videos from records, in the columns `content`, `media` and `objects`. The
remaining media of a record are numbered again from 0."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests.record import media_lists


def remove_media(table: pa.Table, removed: np.ndarray) -> dict[str, pa.Array]:
    """Removes some images and videos with their segments and objects. Returns the new columns
    `content`, `media` and `objects`.

    `removed` has a bool for every medium, in the order of the flattened column `media`. If x is
    removed from a record with media [x, y], the record has media [y], and references to medium 1
    become references to medium 0.
    """
    offsets, flat = media_lists(table["media"])
    rows = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    kept_before = np.concatenate([[0], np.cumsum(~removed)])
    renumbered = kept_before[:-1] - kept_before[offsets[rows]] if len(rows) else np.zeros(0, int)
    return {
        "media": _filtered(offsets, flat, ~removed),
        "content": _without(table["content"], offsets, removed, renumbered),
        "objects": _without(table["objects"], offsets, removed, renumbered),
    }


def _without(
    column: pa.ChunkedArray, media_offsets: np.ndarray, removed: np.ndarray, renumbered: np.ndarray
) -> pa.Array:
    """Returns `column`, a list of structs, without the structs that refer to a removed medium.

    The field `media` of a struct is the number of its medium within the record; it is replaced by
    the new number. `media_offsets` has the first medium of each record. `removed` and `renumbered`
    have one value for every medium: whether it is removed, and its new number.
    """
    offsets, flat = media_lists(column)
    rows = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    numbers = pc.struct_field(flat, "media")
    named = np.asarray(numbers.is_valid())
    at = (media_offsets[rows] + np.asarray(numbers.fill_null(0)))[named]
    stays = np.ones(len(rows), bool)
    stays[named] = ~removed[at]
    number = np.zeros(len(rows), np.int32)
    number[named] = renumbered[at]
    fields = [
        pa.array(number, pa.int32(), mask=~named) if field.name == "media" else flat.field(i)
        for i, field in enumerate(flat.type)
    ]
    return _filtered(offsets, pa.StructArray.from_arrays(fields, fields=list(flat.type)), stays)


def _filtered(offsets: np.ndarray, flat: pa.Array, stays: np.ndarray) -> pa.Array:
    """Returns a list array with only the values for which `stays` is true. List i of the input is
    flat[offsets[i] : offsets[i + 1]]."""
    before = np.concatenate([[0], np.cumsum(stays)])[offsets]
    return pa.ListArray.from_arrays(pa.array(before.astype(np.int32)), flat.filter(pa.array(stays)))
