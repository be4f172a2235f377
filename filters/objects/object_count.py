"""The step `object_count`: drops records with too few or too many objects."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field, NonNegativeInt, model_validator

from manifests.record.objects import Objects, count_objects, flat_objects
from manifests.step import Bound, Columns, Context, RowStep
from manifests.step.bounds import check_min_max, outside

CountOf = Literal["objects", "boxes", "points"]


class ObjectCount(RowStep):
    """Drop records with fewer than `min` or more than `max` objects.

    `count` is the number of objects of a record. `of` decides whether all objects are counted, or
    only objects with a box, or only objects with a point. The number is 0 for a record without
    objects.
    """

    of: CountOf = Field(
        "objects", description="objects to count: all, only with a box, or only with a point"
    )
    min: Annotated[NonNegativeInt | None, Bound()] = Field(
        None, description="smallest number of objects; null: no bound"
    )
    max: Annotated[NonNegativeInt | None, Bound()] = Field(
        None, description="largest number of objects; null: no bound"
    )

    _check_min_max = model_validator(mode="after")(check_min_max)

    def reads(self) -> tuple[str, ...]:
        return ("objects",)

    def measures(self) -> dict[str, pa.DataType]:
        return {"count": pa.int32()}

    def measure(self, batch: pa.Table, context: Context) -> Columns:
        objects = flat_objects(batch["objects"])
        return {"count": count_objects(objects, is_counted(objects, self.of), batch.num_rows)}

    def decide(self, measured: pa.Table) -> pa.Array:
        return outside(self, measured["count"], f"too few {self.of}", f"too many {self.of}")


def is_counted(objects: Objects, of: CountOf) -> np.ndarray:
    """Returns a mask (n,) of the objects that are counted. `of` decides whether these are all
    objects, only objects with a box, or only objects with a point."""
    if of == "objects":
        return np.ones(len(objects.rows), bool)
    return np.asarray(objects.field({"boxes": "box", "points": "point"}[of]).is_valid())
