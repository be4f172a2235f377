"""The step `boxes`: clips boxes, points and polygons to their image, or removes them."""

from __future__ import annotations

from typing import Annotated, ClassVar, NamedTuple

import numpy as np
import pyarrow as pa
from pydantic import Field, NonNegativeFloat, PositiveFloat

from filters.objects.rules.emptied_records import Empty, emptied_records
from manifests.geometry.boxes import all_finite, areas
from manifests.geometry.object_media import NO_IMAGE, object_image_sizes, object_media
from manifests.geometry.polygons import Polygons, bounding_boxes, flatten_polygons, replace_points
from manifests.geometry.shown_sizes import UNKNOWN_SIZE
from manifests.geometry.space import UNITS
from manifests.record.objects import Objects, count_objects, edit_objects, flat_objects, to_lists
from manifests.step import Bound, Columns, Context, Measured, RowErrors, RowStep, reasons
from manifests.step.bounds import Share

POINT_TOLERANCE = 0.5
"""A distance in thousandths of the image. A point that is outside the image by at most this counts
as inside, and is moved to the edge."""
NOISE = 1e-3
"""A distance in thousandths of the image. A change by at most this is a rounding error (our choice;
float32 values near 1000 are 6e-5 apart)."""
REMOVED = ("degenerate", "outside", "small", "large")
"""Reasons to remove an object, in the order in which they are tested."""


class Boxes(RowStep):
    """Clip objects to their image, and remove objects with an unusable box, polygon or point.

    An object is checked by its box, or by the box around its polygon if the object has no box. The
    object is removed for the first of these reasons that applies:

    - `degenerate`: a side is zero or inverted, or a number is missing or infinite
    - `outside`: the share of its area inside the image is less than `min_inside` or zero, or its
      point is more than half a unit outside the image
    - `small`: a side of the part in the image is under `min_side`, after the corners of the part
      are rounded to whole units; or the side is under `min_pixels`
    - `large`: the part in the image covers a share of more than `max_share` of the image

    A unit is a thousandth of the image's width or height. `clip` moves sides of boxes and corners
    of polygons that are outside to the edge of the image; a clipped polygon can differ a little
    from the part that was inside. A point moves by half a unit at most. Objects with neither box,
    polygon nor point (3D boxes, time spans) stay.

    The measures count the objects of each record: the `clipped` objects, and the removed objects by
    reason. Records without objects stay. With `min_pixels` a record is quarantined if it has a box
    or polygon that is on no image of the record, or on an image whose width and height are not
    known.
    """

    rewrites: ClassVar[tuple[str, ...]] = ("objects",)

    clip: bool = Field(True, description="move parts that are outside the image to its edge")
    min_inside: Share = Field(
        0.5, description="smallest share of an object's area that is inside the image (our choice)"
    )
    min_side: NonNegativeFloat = Field(
        1,
        description="smallest side, in units of 1/1000 of the image, after the corners are rounded "
        "to whole units (our choice)",
    )
    min_pixels: PositiveFloat | None = Field(
        None, description="smallest side, in pixels of the image as shown; null: no limit"
    )
    max_share: float | None = Field(
        None, gt=0, le=1, description="largest share of the image that an object covers"
    )
    empty: Annotated[Empty, Bound()] = "drop"

    def reads(self) -> tuple[str, ...]:
        return ("objects",) if self.min_pixels is None else ("objects", "media")

    def measures(self) -> dict[str, pa.DataType]:
        return {name: pa.int32() for name in ("clipped", *REMOVED)}

    def measure(self, batch: pa.Table, context: Context) -> Columns | Measured:
        objects = flat_objects(batch["objects"])
        shape = _shape(objects)
        inside = np.clip(shape.extent, 0, UNITS)
        sizes = None if self.min_pixels is None else object_image_sizes(objects, batch["media"])
        removed = self._removed(objects, shape, inside, sizes)
        keep = ~np.logical_or.reduce(list(removed.values()))
        fields, moved = _clipped(objects, shape, inside)
        records = batch.num_rows
        columns = {name: count_objects(objects, mask, records) for name, mask in removed.items()}
        columns["clipped"] = count_objects(objects, moved & keep & self.clip, records)
        columns["objects"] = edit_objects(batch["objects"], keep, **(fields if self.clip else {}))
        if sizes is None:
            return columns
        unknown = shape.known & np.isnan(sizes).any(axis=1)
        nowhere = unknown & (object_media(objects, batch["media"]) < 0)
        masks = (np.bincount(objects.rows[m], minlength=records) > 0 for m in (nowhere, unknown))
        faults = reasons(records, *zip(masks, (NO_IMAGE, UNKNOWN_SIZE), strict=True))
        return Measured(columns, RowErrors.where(faults.to_pylist()))

    def decide(self, measured: pa.Table) -> pa.Array | None:
        removed = (measured[name] for name in REMOVED)
        return emptied_records(measured["objects"], self.empty, *removed)

    def _removed(
        self, objects: Objects, shape: _Shape, inside: np.ndarray, sizes: np.ndarray | None
    ) -> dict[str, np.ndarray]:
        """Returns a dict from each reason to the mask (n,) of the objects that are removed for this
        reason. If several reasons apply to an object, only the first counts.

        `inside` are the boxes clipped to the image. `sizes` are the image sizes in pixels, which
        `min_pixels` needs.
        """
        width, height = (shape.extent[:, 2:] - shape.extent[:, :2]).T
        within = areas(inside)
        far_point = shape.has_point & (_distance_outside(objects.points) > POINT_TOLERANCE)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = within / areas(shape.extent)
        enough_inside = (share >= self.min_inside) & (share > 0)
        tests = {
            "degenerate": shape.broken | (shape.known & ~((width > 0) & (height > 0))),
            "outside": (shape.known & ~enough_inside) | far_point,
            "small": shape.known & self._small(inside, sizes),
        }
        if self.max_share is not None:
            tests["large"] = shape.known & (within > self.max_share * UNITS**2)
        removed, left = {}, np.ones(len(within), bool)
        for name in REMOVED:
            removed[name] = left & tests.get(name, False)
            left &= ~removed[name]
        return removed

    def _small(self, inside: np.ndarray, sizes: np.ndarray | None) -> np.ndarray:
        rounded = np.rint(inside)
        sides = rounded[:, 2:] - rounded[:, :2]
        small: np.ndarray = (sides < self.min_side).any(axis=1)
        if sizes is not None:
            pixels = (inside[:, 2:] - inside[:, :2]) * (sizes / UNITS)
            small = small | (pixels < self.min_pixels).any(axis=1)
        return small


class _Shape(NamedTuple):
    """The geometry of n objects, by which the step decides which objects stay: the box of each
    object or the box around its polygon (`extent`), and whether this box is valid (`known`).
    `broken` marks objects whose box or point has missing or infinite numbers."""

    extent: np.ndarray
    """(n, 4): the box, or the box around the polygon; nan for an object that has neither."""
    known: np.ndarray
    """(n,) bool: the extent is finite, and the object is not `broken`."""
    has_box: np.ndarray
    has_point: np.ndarray
    broken: np.ndarray
    """(n,) bool: the box is not 4 finite numbers, or the point is not 2 finite numbers."""
    polygons: Polygons | None
    """All polygons; None if no object has one."""


def _shape(objects: Objects) -> _Shape:
    has_box, has_point = (np.asarray(objects.field(name).is_valid()) for name in ("box", "point"))
    finite = all_finite(objects.boxes)
    boxes = objects.boxes if finite.all() else np.where(finite[:, None], objects.boxes, np.nan)
    broken = (has_box & ~finite) | (has_point & ~all_finite(objects.points))
    polygon = objects.field("polygon")
    if polygon.null_count == len(polygon):
        extent = _without_noise(boxes)
        return _Shape(extent, has_box & ~broken, has_box, has_point, broken, None)
    polygons = flatten_polygons(polygon)
    around = bounding_boxes(polygons)
    by_polygon = ~has_box & np.asarray(polygon.is_valid())
    broken |= by_polygon & ~all_finite(around)
    extent = _without_noise(np.where(by_polygon[:, None], around, boxes))
    known = (has_box | by_polygon) & ~broken
    return _Shape(extent, known, has_box, has_point, broken, polygons)


def _without_noise(boxes: np.ndarray) -> np.ndarray:
    """Moves box sides that are outside the image by at most `NOISE` to the edge of the image."""
    inside = np.clip(boxes, 0, UNITS)
    cleaned: np.ndarray = np.where(np.abs(boxes - inside) <= NOISE, inside, boxes)
    return cleaned


def _clipped(
    objects: Objects, shape: _Shape, inside: np.ndarray
) -> tuple[dict[str, pa.Array], np.ndarray]:
    """Clips objects to their images. Returns the columns that change, and a mask (n,) of the
    objects that are outside by more than `NOISE`. `inside` are the boxes clipped to the image."""
    fields = {}
    outside = np.where(shape.has_box, _distance_outside(objects.boxes), 0)
    if outside.any():
        fields["box"] = to_lists(np.where(shape.has_box[:, None], inside, np.nan))
    moved = outside > NOISE
    outside = np.where(shape.has_point, _distance_outside(objects.points), 0)
    if outside.any():
        fields["point"] = to_lists(np.clip(objects.points, 0, UNITS))
    moved |= outside > NOISE
    if shape.polygons is not None:
        polygons = shape.polygons
        outside = _distance_outside(polygons.points)
        moved[polygons.point_of[outside > NOISE]] = True
        if outside.any():
            points = np.clip(polygons.points, 0, UNITS)
            fields["polygon"] = replace_points(objects.field("polygon"), points)
    return fields, moved


def _distance_outside(values: np.ndarray) -> np.ndarray:
    """Returns (n,): for each row, the largest distance by which one of its numbers is outside
    [0,1000]. The result is 0 if all numbers are inside, or if one is nan.

    `_distance_outside([[-3, 500], [1, 999]]) -> [3, 0]`
    """
    from_middle = np.abs(values - UNITS / 2)
    farthest = from_middle[:, 0]
    for column in from_middle.T[1:]:
        farthest = np.maximum(farthest, column)
    return np.where(farthest > UNITS / 2, farthest - UNITS / 2, 0.0)
