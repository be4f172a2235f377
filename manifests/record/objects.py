"""Converts the column `objects` to flat columns and back, without a Python object for each box."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests.record.columns import media_lists, one_chunk
from manifests.record.schema import OBJECT


class Objects(NamedTuple):
    """The n objects of a batch of records as flat arrays.

    `rows` (n,) int64 ascending: the record of each object. `boxes` (n, 4) and `points` (n, 2)
    float64 in [0,1000]: nan if the object has no box or no point. `structs`: the objects as Arrow
    structs.
    """

    rows: np.ndarray
    boxes: np.ndarray
    points: np.ndarray
    structs: pa.StructArray

    def field(self, name: str) -> pa.Array:
        return pc.struct_field(self.structs, name)


def flat_objects(column: pa.Array | pa.ChunkedArray) -> Objects:
    """Returns the objects of the column `objects` as flat columns, in the order of the records,
    with the number of the record of each object."""
    offsets, flat = media_lists(column)
    rows = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    boxes, points = (
        to_matrix(pc.struct_field(flat, name), n) for name, n in (("box", 4), ("point", 2))
    )
    return Objects(rows, boxes, points, flat)


def to_matrix(lists: pa.Array, numbers: int) -> np.ndarray:
    """Returns (n, numbers) float64 from n lists; nan for a list that is null or has another length.

    `to_matrix([[1, 2], None, [3]], 2) -> [[1, 2], [nan, nan], [nan, nan]]`
    """
    out = np.full((len(lists), numbers), np.nan)
    has_length = pc.equal(pc.list_value_length(lists), numbers).fill_null(False)
    if len(has_length) and pc.all(has_length).as_py():
        out[:] = np.asarray(lists.flatten()).reshape(-1, numbers)
    elif len(has_length):
        chosen = lists.filter(has_length).flatten()
        out[np.asarray(has_length)] = np.asarray(chosen).reshape(-1, numbers)
    return out


def to_lists(values: np.ndarray) -> pa.Array:
    """Returns list<float32> from a matrix (n, numbers); null for a row with a nan."""
    missing = np.isnan(values).any(axis=1)
    numbers = values.shape[1]
    offsets = np.concatenate([[0], np.cumsum(np.where(missing, 0, numbers))]).astype(np.int32)
    flat = pa.array(values[~missing].astype(np.float32).reshape(-1))
    mask = pa.array(missing) if missing.any() else None
    return pa.ListArray.from_arrays(pa.array(offsets), flat, mask=mask)


def edit_objects(
    column: pa.Array | pa.ChunkedArray, keep: np.ndarray, **fields: pa.Array
) -> pa.Array:
    """Returns the column `objects` with new values in some fields, and without the objects for
    which `keep` is false.

    `keep` (n,) bool and each of the `fields` have one value for each of the n objects in `column`.
    If nothing changes, the same column is returned.
    """
    if keep.all() and not fields:
        return one_chunk(column)
    offsets, flat = media_lists(one_chunk(column))
    children = [fields.get(f.name, pc.struct_field(flat, f.name)).cast(f.type) for f in OBJECT]
    structs = pa.StructArray.from_arrays(children, fields=list(OBJECT)).filter(pa.array(keep))
    kept = np.concatenate([[0], np.cumsum(keep)])[offsets].astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(kept), structs)


def count_objects(objects: Objects, chosen: np.ndarray, records: int) -> pa.Array:
    """Returns int32: for each record, how many of its objects are chosen. `chosen`, (n,) bool, has
    one value for each of the n objects; `records` is the number of records."""
    return pa.array(np.bincount(objects.rows[chosen], minlength=records).astype(np.int32))


def replace_where(old: pa.Array, chosen: np.ndarray, values: np.ndarray) -> pa.Array:
    """Returns the column `old`, list<float32>, in which each row with a true `chosen` is replaced
    by the same row of `values`, (n, numbers)."""
    return pc.if_else(pa.array(chosen), to_lists(values), old)


def objects_column(counts: np.ndarray, **fields: pa.Array) -> pa.Array:
    """Returns the column `objects` for some records; record i has counts[i] objects.

    Each of the `fields` has one value for each object of all records. A field that is not given is
    null.
    """
    total = int(counts.sum())
    children = [
        fields[f.name].cast(f.type) if f.name in fields else pa.nulls(total, f.type) for f in OBJECT
    ]
    structs = pa.StructArray.from_arrays(children, fields=list(OBJECT))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), structs)
