"""Boxes and points of objects from their polygons and masks."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
import pyarrow as pa
from pydantic import BeforeValidator, Field

from filters.objects.rules.emptied_records import Empty, emptied_records
from manifests.geometry.boxes import all_finite, iou
from manifests.geometry.object_media import object_image_sizes
from manifests.geometry.polygons import bounding_boxes, flatten_polygons, inner_points
from manifests.geometry.run_lengths import column_spans, mask_boxes, mask_points, read_masks
from manifests.media import Media
from manifests.record.images import reduce_by_record
from manifests.record.objects import (
    Objects,
    count_objects,
    edit_objects,
    flat_objects,
    replace_where,
)
from manifests.step import Outcome, RowStep

UNITS = 1000.0
ASPECT_TOLERANCE = 0.02
"""A mask whose aspect differs by more is of another image (ours: thumbnails are rounded)."""


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class Masks(RowStep):
    """Give objects with a polygon or a mask the box around it and a point inside it.

    A mask is COCO's RLE under `rle` of an object's attributes, `{"size": [height, width],
    "counts": ...}`, the counts a list or compressed to text, on the image as it is shown; an
    object that has a polygon as well goes by its polygon. Rings of a polygon that lie in another
    are its holes. The point is the centroid (of the largest ring) where that is inside; else the
    middle of the widest stretch inside at its height, for RLE of the longest stretch in its column.
    So it always lies on the thing.

    Boxes and points that are there stay, unless `overwrite`. `agreement` is the least intersection
    over union of a given box and that of its mask in the record; with `min_agreement` objects
    under it go. Counted are objects: boxes and points made, those that `disagree` and went, and
    those `unread`, whose mask cannot be read, has nothing inside, or is of an image of another
    aspect: nothing is made of these, and they stay.
    """

    measures: ClassVar[dict[str, pa.DataType]] = {
        "boxes": pa.int32(),
        "points": pa.int32(),
        "disagree": pa.int32(),
        "unread": pa.int32(),
        "agreement": pa.float32(),
    }
    rewrites: ClassVar[tuple[str, ...]] = ("objects",)

    to: Annotated[tuple[Literal["box", "point"], ...], BeforeValidator(_listed)] = Field(
        ("box", "point"), min_length=1, description="what is made: box, point, or both"
    )
    overwrite: bool = Field(False, description="make them though there are some")
    min_agreement: float | None = Field(
        None, gt=0, le=1, description="least intersection over union of given and mask's box"
    )
    empty: Empty = "drop"

    def __call__(self, batch: pa.Table, media: Media) -> Outcome:
        objects = flat_objects(batch["objects"])
        shapes = _shapes(objects, object_image_sizes(objects, batch["media"]))
        records = batch.num_rows
        given = all_finite(objects.boxes)
        compared = given & all_finite(shapes.boxes)
        agreement = np.ones(len(given))
        agreement[compared] = iou(objects.boxes[compared], shapes.boxes[compared])
        disagree = agreement < (self.min_agreement or 0)
        stays = ~disagree
        fields: dict[str, pa.Array] = {}
        columns: dict[str, pa.Array] = {}
        for name, many, found in (
            ("box", "boxes", shapes.boxes),
            ("point", "points", shapes.points),
        ):
            made = self._made(objects, name, found)
            columns[many] = count_objects(objects, made & stays, records)
            if made.any():
                fields[name] = replace_where(objects.field(name), made, found)
        lowest = reduce_by_record(
            np.minimum, objects.rows[compared], agreement[compared].astype(np.float32), records
        )
        return Outcome(
            {
                **columns,
                "disagree": count_objects(objects, disagree, records),
                "unread": count_objects(objects, shapes.unread, records),
                "agreement": lowest,
                "objects": edit_objects(batch["objects"], stays, **fields),
            },
            emptied_records(objects, stays, records, self.empty),
        )

    def _made(self, objects: Objects, name: str, found: np.ndarray) -> np.ndarray:
        """(n,) bool: which objects get what was found."""
        wanted = all_finite(found) & (name in self.to)
        missing = np.asarray(objects.field(name).is_null())
        chosen: np.ndarray = wanted & (missing | self.overwrite)
        return chosen


class _Shapes(NamedTuple):
    """(n, 4) boxes around and (n, 2) points inside polygons and masks, nan where there is none;
    and those that could not be read."""

    boxes: np.ndarray
    points: np.ndarray
    unread: np.ndarray


def _shapes(objects: Objects, sizes: np.ndarray) -> _Shapes:
    boxes, points, unread = _masks(objects, sizes)
    polygon = objects.field("polygon")
    if polygon.null_count < len(polygon):
        drawn = np.asarray(polygon.is_valid())
        polygons = flatten_polygons(polygon)
        inner, around = inner_points(polygons), bounding_boxes(polygons)
        empty = ~all_finite(inner)
        around[empty] = np.nan
        boxes[drawn], points[drawn], unread[drawn] = around[drawn], inner[drawn], empty[drawn]
    return _Shapes(boxes, points, unread)


def _masks(objects: Objects, sizes: np.ndarray) -> _Shapes:
    boxes, points = (np.full((len(objects.rows), n), np.nan) for n in (4, 2))
    runs, unread = read_masks(objects.field("attributes"))
    if not len(runs.objects):
        return _Shapes(boxes, points, unread)
    inside, masks = column_spans(runs), len(runs.objects)
    times = UNITS / runs.sizes[:, ::-1]
    boxes[runs.objects] = mask_boxes(inside, masks) * np.tile(times, 2)
    points[runs.objects] = mask_points(inside, masks) * times
    width, height = sizes[runs.objects].T
    aspect = (runs.sizes[:, 1] * height) / (runs.sizes[:, 0] * width)  # nan of an unknown size
    other = np.abs(aspect - 1) > ASPECT_TOLERANCE
    unread[runs.objects] = other | ~all_finite(boxes[runs.objects])
    boxes[unread], points[unread] = np.nan, np.nan
    return _Shapes(boxes, points, unread)
