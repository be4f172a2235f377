"""Whether a record has as many objects as it says."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from filters.objects.object_count import Of, counted
from manifests.media import Media
from manifests.record.objects import count_objects, flat_objects
from manifests.step import Outcome, RowStep, reasons


class CountAgreement(RowStep):
    """Drop records that state another number of objects than they have.

    `stated` is the number in `field` of the record's `meta`, `found` how many objects there are,
    `agrees` whether they are the same: nothing where none is stated, and such records stay unless
    `unstated: drop`. With `differing: keep` the measures are all that is done. What is stated and
    no whole number is an error, and the record is quarantined.
    """

    measures: ClassVar[dict[str, pa.DataType]] = {
        "stated": pa.int64(),
        "found": pa.int32(),
        "agrees": pa.bool_(),
    }

    field: str = Field("count", description="where in `meta` the number is stated")
    of: Of = Field("objects", description="what is counted: all, those with a box, with a point")
    differing: Literal["drop", "keep"] = Field(
        "drop", description="what becomes of records whose numbers differ"
    )
    unstated: Literal["drop", "keep"] = Field(
        "keep", description="what becomes of records that state no number"
    )

    def __call__(self, batch: pa.Table, media: Media) -> Outcome:
        objects = flat_objects(batch["objects"])
        found = count_objects(objects, counted(objects, self.of), batch.num_rows)
        # Row by row: `meta` is JSON, which has no columns.
        said = [_stated(meta, self.field) for meta in batch["meta"].to_pylist()]
        numbers = [_whole(value) for value in said]
        stated = pa.array(numbers, pa.int64())
        agrees = pc.equal(stated, found.cast(pa.int64()))
        drop = reasons(
            batch.num_rows,
            (np.asarray(stated.is_null()) & (self.unstated == "drop"), "no count stated"),
            (pc.and_(pc.invert(agrees), self.differing == "drop"), "count differs"),
        )
        errors = [
            f"{self.field} {value!r:.80} is no count"
            if number is None and value is not None
            else None
            for value, number in zip(said, numbers, strict=True)
        ]
        columns = {"stated": stated, "found": found, "agrees": agrees}
        return Outcome(columns, drop, pa.array(errors, pa.string()))


def _stated(meta: str | None, field: str) -> Any:
    found = orjson.loads(meta) if meta else None
    return found.get(field) if isinstance(found, dict) else None


def _whole(value: Any) -> int | None:
    """The number that is meant: also that of "3" and 3.0, as tables and forms have it."""
    if isinstance(value, str):
        value = int(value) if value.isascii() and value.isdigit() else None
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        return None
    return int(value) if 0 <= value < 2**31 else None
