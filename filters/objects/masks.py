"""The step `masks`: gives objects a box and a point, made from their polygon or RLE mask."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, NamedTuple

import numpy as np
import pyarrow as pa
from pydantic import Field

from filters.objects.rules.emptied_records import Empty, emptied_records
from manifests.geometry.boxes import all_finite, iou
from manifests.geometry.object_media import object_image_sizes
from manifests.geometry.polygons import bounding_boxes, flatten_polygons, inner_points
from manifests.geometry.run_lengths import column_spans, mask_boxes, mask_points, read_masks
from manifests.geometry.space import UNITS
from manifests.record.images import reduce_by_record
from manifests.record.objects import (
    Objects,
    count_objects,
    edit_objects,
    flat_objects,
    replace_where,
)
from manifests.setting_values import one_or_more
from manifests.step import Bound, Columns, Context, RowStep

ASPECT_TOLERANCE = 0.02
"""If the aspect ratios of a mask and its image differ by more than this, the mask belongs to
another image (our choice: small differences come from rounding to whole pixels)."""


To = Literal["box", "point"]


class Masks(RowStep):
    """Give objects with a polygon or a mask the box around it and a point inside it.

    A mask is COCO's RLE in the field `rle` of an object's attributes, `{"size": [height, width],
    "counts": ...}`; the counts are a list or compressed text. The mask covers the whole image,
    after the rotation in the image's Exif data is applied. The `size` of the mask may be smaller or
    larger than the image, but must have the same aspect ratio. If an object has a polygon too, the
    polygon is used. A ring of a polygon inside another ring is a hole.

    The point is always inside the polygon or mask. It is the centroid (of the largest ring) if the
    centroid is inside. Otherwise, for a polygon, it is the middle of the widest horizontal segment
    that is inside at the height of the centroid, or at another height if no segment is inside
    there; for RLE, it is the middle of the longest vertical span in the column of the centroid, or
    in the whole mask if this column is empty.

    Existing boxes and points stay, unless `overwrite` is set. `agreement` is the smallest
    intersection over union (IoU), among the objects of a record, of the existing box and the box
    around the mask; `min_agreement` removes objects with a lower IoU. The measures count the new
    `boxes` and `points`, the `removed` objects, and the `unreadable` objects: their polygon has no
    area, or their mask is empty, broken, or of another aspect ratio than the image. Unreadable
    objects stay unchanged.
    """

    rewrites: ClassVar[tuple[str, ...]] = ("objects",)
    renamed: ClassVar[dict[str, str]] = {"disagree": "removed", "unread": "unreadable"}

    to: Annotated[tuple[To, ...], one_or_more(To)] = Field(
        ("box", "point"), min_length=1, description="what to make: box, point, or both"
    )
    overwrite: bool = Field(False, description="replace boxes and points that exist already")
    min_agreement: float | None = Field(
        None,
        gt=0,
        le=1,
        description="smallest intersection over union of the given box and the box around the "
        "mask; null: no limit",
    )
    empty: Annotated[Empty, Bound()] = "drop"

    def reads(self) -> tuple[str, ...]:
        return ("objects", "media")

    def measures(self) -> dict[str, pa.DataType]:
        counts = dict.fromkeys(("boxes", "points", "removed", "unreadable"), pa.int32())
        return {**counts, "agreement": pa.float32()}

    def measure(self, batch: pa.Table, context: Context) -> Columns:
        objects = flat_objects(batch["objects"])
        shapes = _shapes(objects, object_image_sizes(objects, batch["media"]))
        records = batch.num_rows
        given = all_finite(objects.boxes)
        compared = given & all_finite(shapes.boxes)
        agreement = np.ones(len(given))
        agreement[compared] = iou(objects.boxes[compared], shapes.boxes[compared])
        removed = agreement < (self.min_agreement or 0)
        fields: dict[str, pa.Array] = {}
        columns: Columns = {}
        for field, measure, values in (
            ("box", "boxes", shapes.boxes),
            ("point", "points", shapes.points),
        ):
            new = self._gets(objects, field, values)
            columns[measure] = count_objects(objects, new & ~removed, records)
            if new.any():
                fields[field] = replace_where(objects.field(field), new, values)
        lowest = reduce_by_record(
            np.minimum, objects.rows[compared], agreement[compared].astype(np.float32), records
        )
        return {
            **columns,
            "removed": count_objects(objects, removed, records),
            "unreadable": count_objects(objects, shapes.unreadable, records),
            "agreement": lowest,
            "objects": edit_objects(batch["objects"], ~removed, **fields),
        }

    def decide(self, measured: pa.Table) -> pa.Array | None:
        return emptied_records(measured["objects"], self.empty, measured["removed"])

    def _gets(self, objects: Objects, field: str, values: np.ndarray) -> np.ndarray:
        """Returns a mask (n,) of the objects whose `field` (box or point) is set by this step.
        `values` are the new boxes or points; nan if an object gets none. An existing box or point
        stays unless `overwrite` is set."""
        wanted = all_finite(values) & (field in self.to)
        missing = np.asarray(objects.field(field).is_null())
        chosen: np.ndarray = wanted & (missing | self.overwrite)
        return chosen


class _Shapes(NamedTuple):
    """The boxes and points made from the polygons and masks of n objects, in [0,1000], and a mark
    for each object whose polygon or mask is unreadable."""

    boxes: np.ndarray
    """(n, 4): the box around the polygon or mask of each object; nan for an object without one."""
    points: np.ndarray
    """(n, 2): a point inside the polygon or mask of each object; nan for an object without one."""
    unreadable: np.ndarray
    """(n,) bool: the polygon has no area, or the mask is empty, or the mask is broken or belongs to
    another image."""


def _shapes(objects: Objects, sizes: np.ndarray) -> _Shapes:
    boxes, points, unreadable = _mask_shapes(objects, sizes)
    polygon = objects.field("polygon")
    if polygon.null_count < len(polygon):
        has = np.asarray(polygon.is_valid())
        polygons = flatten_polygons(polygon)
        inner, around = inner_points(polygons), bounding_boxes(polygons)
        empty = ~all_finite(inner)
        around[empty] = np.nan
        boxes[has], points[has], unreadable[has] = around[has], inner[has], empty[has]
    return _Shapes(boxes, points, unreadable)


def _mask_shapes(objects: Objects, sizes: np.ndarray) -> _Shapes:
    boxes, points = (np.full((len(objects.rows), n), np.nan) for n in (4, 2))
    runs, unreadable = read_masks(objects.field("attributes"))
    if not len(runs.objects):
        return _Shapes(boxes, points, unreadable)
    spans, masks = column_spans(runs), len(runs.objects)
    units_per_pixel = UNITS / runs.sizes[:, ::-1]
    boxes[runs.objects] = mask_boxes(spans, masks) * np.tile(units_per_pixel, 2)
    points[runs.objects] = mask_points(spans, masks) * units_per_pixel
    width, height = sizes[runs.objects].T
    aspect = (runs.sizes[:, 1] * height) / (runs.sizes[:, 0] * width)  # nan for an unknown size
    other_image = np.abs(aspect - 1) > ASPECT_TOLERANCE
    unreadable[runs.objects] = other_image | ~all_finite(boxes[runs.objects])
    boxes[unreadable], points[unreadable] = np.nan, np.nan
    return _Shapes(boxes, points, unreadable)
