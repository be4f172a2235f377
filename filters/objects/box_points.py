"""Points in the middle of boxes."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from manifests.geometry.boxes import all_finite
from manifests.media import Media
from manifests.record.objects import count_objects, edit_objects, flat_objects, replace_where
from manifests.step import Outcome, RowStep


class BoxPoints(RowStep):
    """Give objects with a box the point in its middle.

    A point that an object has already stays as it is, unless `overwrite`. The middle of a box need
    not lie on the thing: where there are masks, `masks` makes better points. `made` counts the
    points that were made.
    """

    measures: ClassVar[dict[str, pa.DataType]] = {"made": pa.int32()}
    rewrites: ClassVar[tuple[str, ...]] = ("objects",)

    boxes: Literal["keep", "replace"] = Field(
        "keep", description="keep the boxes, or take them from objects that then have a point"
    )
    overwrite: bool = Field(False, description="make points though there are some")

    def __call__(self, batch: pa.Table, media: Media) -> Outcome:
        objects = flat_objects(batch["objects"])
        pointed = np.asarray(objects.field("point").is_valid())
        boxed = all_finite(objects.boxes)
        made = boxed & (self.overwrite | ~pointed)
        middles = (objects.boxes[:, :2] + objects.boxes[:, 2:]) / 2
        fields = {}
        if made.any():
            fields["point"] = replace_where(objects.field("point"), made, middles)
        if self.boxes == "replace":
            box = objects.field("box")
            fields["box"] = pc.if_else(pa.array(made | pointed), pa.scalar(None, box.type), box)
        everything = np.ones(len(boxed), bool)
        column = edit_objects(batch["objects"], everything, **fields)
        return Outcome({"made": count_objects(objects, made, batch.num_rows), "objects": column})
