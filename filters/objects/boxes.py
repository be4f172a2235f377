"""Boxes, points and polygons brought into their image, and those removed that are none."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import numpy as np
import pyarrow as pa
from pydantic import Field, NonNegativeFloat, PositiveFloat

from filters.objects.rules.emptied_records import Empty, emptied_records
from manifests.geometry.boxes import all_finite, areas
from manifests.geometry.object_media import object_image_sizes
from manifests.geometry.polygons import Polygons, bounding_boxes, flatten_polygons, replace_points
from manifests.media import Media
from manifests.record.objects import Objects, count_objects, edit_objects, flat_objects, to_lists
from manifests.step import Outcome, RowStep, reasons
from manifests.step.bounds import Share

UNITS = 1000.0
ROUNDING = 0.5
"""Of a point, so much outside is rounding: in whole thousandths it is on the edge."""
NOISE = 1e-3
"""A smaller change is none: float32 tells places near 1000 apart by 6e-5 (ours)."""


class Boxes(RowStep):
    """Clip objects to their image, and remove those that are no boxes or points of it.

    An object is judged by its box, or where it has none by the box around its polygon. It goes as

    - `degenerate`: a side is zero or the wrong way round, or a number is missing or infinite;
    - `outside`: less than `min_inside` of its area is in the image, or nothing; or its point is
      outside it by more than half a unit;
    - `small`: within the image a side is under `min_side` when rounded to whole units, or under
      `min_pixels`;
    - `large`: within the image it covers more than `max_share` of it.

    `clip` moves sides of boxes and corners of polygons that lie outside to the edge; the outline
    of a clipped polygon may so differ from that of its part inside. Points move half a unit at
    most. Objects with neither box, polygon nor point (3D boxes, spans of time) stay.

    The measures count objects of each record: those clipped, and those removed by reason. Records
    that had no objects stay. With `min_pixels` a record with an image of unknown size is
    quarantined.
    """

    measures: ClassVar[dict[str, pa.DataType]] = {
        name: pa.int32() for name in ("clipped", "degenerate", "outside", "small", "large")
    }
    rewrites: ClassVar[tuple[str, ...]] = ("objects",)

    clip: bool = Field(True, description="move what reaches out of the image to its edge")
    min_inside: Share = Field(0.5, description="share of its area that must be in the image (ours)")
    min_side: NonNegativeFloat = Field(
        1, description="both sides at least, in thousandths of the image, rounded (ours)"
    )
    min_pixels: PositiveFloat | None = Field(
        None, description="both sides at least, in pixels of the image as it is shown"
    )
    max_share: float | None = Field(
        None, gt=0, le=1, description="share of the image that it covers at most"
    )
    empty: Empty = "drop"

    def __call__(self, batch: pa.Table, media: Media) -> Outcome:
        objects = flat_objects(batch["objects"])
        shape = _shape(objects)
        inside = np.clip(shape.extent, 0, UNITS)
        sizes = None if self.min_pixels is None else object_image_sizes(objects, batch["media"])
        removed = self._removed(objects, shape, inside, sizes)
        stays = ~np.logical_or.reduce(list(removed.values()))
        fields, moved = _clipped(objects, shape, inside)
        records = batch.num_rows
        columns = {name: count_objects(objects, gone, records) for name, gone in removed.items()}
        columns["clipped"] = count_objects(objects, moved & stays & self.clip, records)
        columns["objects"] = edit_objects(batch["objects"], stays, **(fields if self.clip else {}))
        unknown = np.zeros(records, bool)
        if sizes is not None:
            unknown[objects.rows[shape.has & np.isnan(sizes).any(axis=1)]] = True
        return Outcome(
            columns,
            emptied_records(objects, stays, records, self.empty),
            reasons(records, (unknown, "an object on an image of unknown size")),
        )

    def _removed(
        self, objects: Objects, shape: _Shape, inside: np.ndarray, sizes: np.ndarray | None
    ) -> dict[str, np.ndarray]:
        """Which objects go, each by one reason, the first that applies."""
        width, height = (shape.extent[:, 2:] - shape.extent[:, :2]).T
        within = areas(inside)
        far = _out(objects.points) > ROUNDING
        with np.errstate(divide="ignore", invalid="ignore"):
            share = within / areas(shape.extent)
        tests = {
            "degenerate": shape.broken | (shape.has & ~((width > 0) & (height > 0))),
            "outside": (shape.has & ~((share >= self.min_inside) & (share > 0)))
            | (shape.pointed & far),
            "small": shape.has & self._small(inside, sizes),
        }
        if self.max_share is not None:
            tests["large"] = shape.has & (within > self.max_share * UNITS**2)
        removed, left = {}, np.ones(len(within), bool)
        for name in ("degenerate", "outside", "small", "large"):
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
    """What the objects are judged by."""

    extent: np.ndarray
    """(n, 4): the box, or that around the polygon; nan where there is neither."""
    has: np.ndarray
    boxed: np.ndarray
    pointed: np.ndarray
    broken: np.ndarray
    """A box or a point that is not 4 or 2 finite numbers."""
    polygons: Polygons | None
    """Where any object has one."""


def _shape(objects: Objects) -> _Shape:
    boxed, pointed = (np.asarray(objects.field(name).is_valid()) for name in ("box", "point"))
    whole = all_finite(objects.boxes)
    boxes = objects.boxes if whole.all() else np.where(whole[:, None], objects.boxes, np.nan)
    broken = (boxed & ~whole) | (pointed & ~all_finite(objects.points))
    polygon = objects.field("polygon")
    if polygon.null_count == len(polygon):
        return _Shape(_without_noise(boxes), boxed & ~broken, boxed, pointed, broken, None)
    polygons = flatten_polygons(polygon)
    around = bounding_boxes(polygons)
    alone = ~boxed & np.asarray(polygon.is_valid())
    broken |= alone & ~all_finite(around)
    extent = _without_noise(np.where(alone[:, None], around, boxes))
    return _Shape(extent, (boxed | alone) & ~broken, boxed, pointed, broken, polygons)


def _without_noise(boxes: np.ndarray) -> np.ndarray:
    """Sides that rounding to float32 has put out of the image are at its edge."""
    inside = np.clip(boxes, 0, UNITS)
    found: np.ndarray = np.where(np.abs(boxes - inside) <= NOISE, inside, boxes)
    return found


def _clipped(
    objects: Objects, shape: _Shape, inside: np.ndarray
) -> tuple[dict[str, pa.Array], np.ndarray]:
    """The fields that clipping changes, and which objects it moves by more than noise."""
    fields = {}
    out = np.where(shape.boxed, _out(objects.boxes), 0)
    if out.any():
        fields["box"] = to_lists(np.where(shape.boxed[:, None], inside, np.nan))
    moved = out > NOISE
    out = np.where(shape.pointed, _out(objects.points), 0)
    if out.any():
        fields["point"] = to_lists(np.clip(objects.points, 0, UNITS))
    moved |= out > NOISE
    if shape.polygons is not None:
        polygons = shape.polygons
        out = _out(polygons.points)
        moved[polygons.point_of[out > NOISE]] = True
        if out.any():
            places = np.clip(polygons.points, 0, UNITS)
            fields["polygon"] = replace_points(objects.field("polygon"), places)
    return fields, moved


def _out(values: np.ndarray) -> np.ndarray:
    """(n,): how far a number of each row is out of the image, 0 where none is."""
    from_middle = np.abs(values - UNITS / 2)
    far = from_middle[:, 0]
    for column in from_middle.T[1:]:
        far = np.maximum(far, column)
    return np.where(far > UNITS / 2, far - UNITS / 2, 0.0)
