"""What becomes of a record when a step removes all its objects."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from manifests.record.objects import Objects
from manifests.step import reasons

Empty = Annotated[
    Literal["drop", "keep"],
    Field(description="drop or keep a record when this step removes all its objects"),
]
NO_OBJECT_LEFT = "no object left"


def emptied_records(objects: Objects, keep: np.ndarray, records: int, empty: Empty) -> pa.Array:
    """(records,) string: a drop reason for each record that had objects and keeps none.

    Null for all records where `empty` is "keep". `keep` (n,) bool: which objects stay.
    """
    before = np.bincount(objects.rows, minlength=records) > 0
    after = np.bincount(objects.rows[keep], minlength=records) > 0
    return reasons(records, (before & ~after & (empty == "drop"), NO_OBJECT_LEFT))
