"""The objects of a batch counted by record, and those of them that go taken out."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from manifests.record import one_chunk
from manifests.record.objects import Objects, lists_of, rewritten
from manifests.step import reasons

Empty = Annotated[
    Literal["drop", "keep"], Field(description="what becomes of a record that loses all objects")
]
NOTHING_LEFT = "no object left"


def counts(objects: Objects, chosen: np.ndarray, records: int) -> pa.Array:
    """int32: how many objects of each record are `chosen`, (n,) bool."""
    return pa.array(np.bincount(objects.rows[chosen], minlength=records).astype(np.int32))


def emptied(objects: Objects, stays: np.ndarray, records: int, empty: Empty) -> pa.Array:
    """The reason of records that had objects and have none left; null where `empty` keeps them."""
    had = np.bincount(objects.rows, minlength=records) > 0
    left = np.bincount(objects.rows[stays], minlength=records) > 0
    gone = had & ~left & (empty == "drop")
    return reasons(records, (gone, NOTHING_LEFT))


def edited(column: pa.Array | pa.ChunkedArray, stays: np.ndarray, **fields: pa.Array) -> pa.Array:
    """The column `objects` with fields replaced and those left out that do not stay; itself
    where that is nothing."""
    if stays.all() and not fields:
        return one_chunk(column)
    return rewritten(column, stays, **fields)


def replaced(old: pa.Array, chosen: np.ndarray, values: np.ndarray) -> pa.Array:
    """A flat column list<float32> with `values`, (n, numbers), where they are `chosen`."""
    return pc.if_else(pa.array(chosen), lists_of(values), old)
