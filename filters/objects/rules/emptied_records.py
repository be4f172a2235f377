"""Decides whether records are dropped when a step removes all their objects."""

from __future__ import annotations

from functools import reduce
from typing import Annotated, Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from manifests.step import reasons

Empty = Annotated[
    Literal["drop", "keep"],
    Field(description="drop or keep a record when this step removes all its objects"),
]
NO_OBJECT_LEFT = "no object left"


def emptied_records(
    objects: pa.Array | pa.ChunkedArray, empty: Empty, *removed: pa.Array | pa.ChunkedArray
) -> pa.Array | None:
    """Returns the drop reason of each record from which a step removed all objects; null for all
    other records.

    `objects` is the column after the step. `removed` are counts of the objects that the step
    removed from each record. If `empty` is "keep", no record is dropped and the result is None.
    """
    if empty == "keep":
        return None
    lost_some = pc.greater(reduce(pc.add, removed), 0)
    none_left = pc.equal(pc.list_value_length(objects), 0)
    return reasons(len(objects), (pc.and_(lost_some, none_left), NO_OBJECT_LEFT))
