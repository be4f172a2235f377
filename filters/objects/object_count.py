"""The step `object_count`: records with too few or too many objects."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field, NonNegativeInt, model_validator

from manifests.media import Media
from manifests.record.objects import Objects, count_objects, flat_objects
from manifests.step import Outcome, RowStep
from manifests.step.bounds import check_min_max, outside

CountOf = Literal["objects", "boxes", "points"]


class ObjectCount(RowStep):
    """Drop records with fewer than `min` or more than `max` objects.

    `count` is the number of objects of a record: all of them, or those with a box, or those with a
    point. It is 0 for a record without objects.
    """

    measures: ClassVar[dict[str, pa.DataType]] = {"count": pa.int32()}

    of: CountOf = Field(
        "objects", description="what is counted: all objects, or those with a box, or with a point"
    )
    min: NonNegativeInt | None = Field(
        None, description="smallest number that stays; null: no bound"
    )
    max: NonNegativeInt | None = Field(
        None, description="largest number that stays; null: no bound"
    )

    _check_min_max = model_validator(mode="after")(check_min_max)

    def __call__(self, batch: pa.Table, media: Media) -> Outcome:
        objects = flat_objects(batch["objects"])
        found = count_objects(objects, is_counted(objects, self.of), batch.num_rows)
        reasons = outside(self, found, f"too few {self.of}", f"too many {self.of}")
        return Outcome({"count": found}, reasons)


def is_counted(objects: Objects, of: CountOf) -> np.ndarray:
    """(n,) bool: objects of the kind that is counted."""
    if of == "objects":
        return np.ones(len(objects.rows), bool)
    return np.asarray(objects.field({"boxes": "box", "points": "point"}[of]).is_valid())
