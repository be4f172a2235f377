"""How many objects a record has."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field, NonNegativeInt, model_validator

from manifests.media import Media
from manifests.record.objects import Objects, count_objects, flat_objects
from manifests.step import Outcome, RowStep
from manifests.step.bounds import check_min_max, outside

Of = Literal["objects", "boxes", "points"]


class ObjectCount(RowStep):
    """Drop records with fewer than `min` or more than `max` objects.

    All objects count, or those that have a box, or those that have a point. A record without any
    has 0 of them.
    """

    measures: ClassVar[dict[str, pa.DataType]] = {"count": pa.int32()}

    of: Of = Field("objects", description="what is counted: all, those with a box, with a point")
    min: NonNegativeInt | None = Field(None, description="fewest of them; null: no bound")
    max: NonNegativeInt | None = Field(None, description="most of them; null: no bound")

    _check_min_max = model_validator(mode="after")(check_min_max)

    def __call__(self, batch: pa.Table, media: Media) -> Outcome:
        objects = flat_objects(batch["objects"])
        found = count_objects(objects, counted(objects, self.of), batch.num_rows)
        reasons = outside(self, found, f"too few {self.of}", f"too many {self.of}")
        return Outcome({"count": found}, reasons)


def counted(objects: Objects, of: Of) -> np.ndarray:
    """(n,) bool: which objects count."""
    if of == "objects":
        return np.ones(len(objects.rows), bool)
    return np.asarray(objects.field({"boxes": "box", "points": "point"}[of]).is_valid())
