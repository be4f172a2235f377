"""The step `count_agreement`: drops records whose stated number of objects differs from the number
of annotated objects."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from filters.objects.object_count import CountOf, is_counted
from manifests.record import INCOMPLETE, known_absent, lost_parts
from manifests.record.objects import count_objects, flat_objects
from manifests.step import Bound, Context, Measured, RowErrors, RowStep, reasons


class CountAgreement(RowStep):
    """Drop records that state a number of objects other than the number they have.

    `stated` is the number in `field` of the record's `meta`, `found` is the number of its objects,
    and `agrees` is true if both are the same. A record that states no number has null in `stated`
    and `agrees`, and stays unless `missing: drop` is set. With `mismatch: keep`, no record is
    dropped because of a different number. A record is quarantined if the value of `field` is not a
    whole number from 0 to 2^31 - 1. A text of digits, such as "3", is accepted as a number.

    The number of objects on an image is not known if the record lost a part, such as an annotation,
    when it was read (`curate.lost` in `meta`), or if the source annotates only some labels of the
    image (`curate.absent`). Such a record has null in `agrees` and true in `incomplete`. If it
    states a number, the two numbers count as different.
    """

    version: ClassVar[int] = 2

    renamed: ClassVar[dict[str, str]] = {"differing": "mismatch", "unstated": "missing"}

    field: str = Field("count", description="field of `meta` with the stated number")
    of: CountOf = Field(
        "objects", description="objects to count: all, only with a box, or only with a point"
    )
    mismatch: Annotated[Literal["drop", "keep"], Bound()] = Field(
        "drop", description="drop or keep a record whose numbers differ"
    )
    missing: Annotated[Literal["drop", "keep"], Bound()] = Field(
        "keep", description="drop or keep a record that states no number"
    )

    def reads(self) -> tuple[str, ...]:
        return ("objects", "meta")

    def measures(self) -> dict[str, pa.DataType]:
        return {
            "stated": pa.int64(),
            "found": pa.int32(),
            "agrees": pa.bool_(),
            "incomplete": pa.bool_(),
        }

    def measure(self, batch: pa.Table, context: Context) -> Measured:
        objects = flat_objects(batch["objects"])
        found = count_objects(objects, is_counted(objects, self.of), batch.num_rows)
        # Row by row: `meta` is JSON text, so each value is parsed separately.
        values = [_stated(meta, self.field) for meta in batch["meta"].to_pylist()]
        numbers = [_whole_number(value) for value in values]
        stated = pa.array(numbers, pa.int64())
        some_labels = [labels is not None for labels in known_absent(batch["meta"])]
        incomplete = pa.array(lost_parts(batch["meta"]) | np.array(some_labels, bool))
        agrees = pc.if_else(incomplete, None, pc.equal(stated, found.cast(pa.int64())))
        faults = [
            f"field '{self.field}' of meta is {value!r:.80}, which is not a number of objects. "
            "Correct it, or set `field` to another field"
            if number is None and value is not None
            else None
            for value, number in zip(values, numbers, strict=True)
        ]
        columns = {"stated": stated, "found": found, "agrees": agrees, "incomplete": incomplete}
        return Measured(columns, RowErrors.where(faults))

    def decide(self, measured: pa.Table) -> pa.Array:
        rules = []
        if self.missing == "drop":
            rules.append((measured["stated"].is_null(), "no count stated"))
        if self.mismatch == "drop":
            rules.append((pc.invert(measured["agrees"]), "count differs"))
            stated = measured["stated"].is_valid()
            rules.append((pc.and_(measured["incomplete"], stated), INCOMPLETE))
        return reasons(measured.num_rows, *rules)


def _stated(meta: str | None, field: str) -> Any:
    parsed = orjson.loads(meta) if meta else None
    return parsed.get(field) if isinstance(parsed, dict) else None


def _whole_number(value: Any) -> int | None:
    """Returns the value as a whole number from 0 to 2^31 - 1; None if it is not such a number. "3"
    and 3.0, which occur in tables, are accepted."""
    if isinstance(value, str):
        value = int(value) if value.isascii() and value.isdigit() else None
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        return None
    return int(value) if 0 <= value < 2**31 else None
