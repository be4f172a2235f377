"""The step `box_points`: gives objects a point in the middle of their box."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from manifests.geometry.boxes import all_finite
from manifests.record.objects import count_objects, edit_objects, flat_objects, replace_where
from manifests.step import Columns, Context, RowStep


class BoxPoints(RowStep):
    """Give each object with a box a point in the middle of the box.

    A point that an object already has stays, unless `overwrite` is set. The middle of a box is
    not always on the object itself; if there are masks or polygons, `masks` makes better points.
    `made` counts the new points of a record.
    """

    rewrites: ClassVar[tuple[str, ...]] = ("objects",)

    boxes: Literal["keep", "replace"] = Field(
        "keep", description="keep the boxes, or remove them from objects that have a point"
    )
    overwrite: bool = Field(False, description="replace points that exist already")

    def reads(self) -> tuple[str, ...]:
        return ("objects",)

    def measures(self) -> dict[str, pa.DataType]:
        return {"made": pa.int32()}

    def measure(self, batch: pa.Table, context: Context) -> Columns:
        objects = flat_objects(batch["objects"])
        has_point = np.asarray(objects.field("point").is_valid())
        has_box = all_finite(objects.boxes)
        made = has_box & (self.overwrite | ~has_point)
        middles = (objects.boxes[:, :2] + objects.boxes[:, 2:]) / 2
        fields = {}
        if made.any():
            fields["point"] = replace_where(objects.field("point"), made, middles)
        if self.boxes == "replace":
            box = objects.field("box")
            fields["box"] = pc.if_else(pa.array(made | has_point), pa.scalar(None, box.type), box)
        keep = np.ones(len(has_box), bool)
        column = edit_objects(batch["objects"], keep, **fields)
        return {"made": count_objects(objects, made, batch.num_rows), "objects": column}
