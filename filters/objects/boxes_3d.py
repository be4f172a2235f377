"""Which 3D boxes are worth training on: what their annotation says, and where they are seen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat

from filters.objects.rules.emptied_records import Empty
from manifests.geometry.space import UNITS
from manifests.geometry.visible_boxes import VisibleBoxes, visible_boxes
from manifests.media import Media
from manifests.record.images import reduce_by_record
from manifests.record.objects import Objects, count_objects, edit_objects, flat_objects, to_matrix
from manifests.step import Outcome, RowStep, reasons
from manifests.step.bounds import Share

SAID = (
    "behind_camera",
    "valid3D",
    "visibility",
    "truncation",
    "depth_error",
    "lidar_pts",
    "segmentation_pts",
)
"""Fields of an annotation that tell of its 3D box (documented: Omni3D, DATA.md); -1: unknown."""
REMOVED = (
    "degenerate",
    "behind_camera",
    "invalid",
    "hidden",
    "truncated",
    "wrong_depth",
    "few_points",
    "far",
    "outside",
    "low",
    "disagrees",
)
"""Why a 3D box is removed, in the order they are asked."""
_NO_NUMBERS = (AttributeError, TypeError, ValueError)


class Boxes3d(RowStep):
    """Remove 3D boxes that their own annotation calls bad, or that are not seen on the image.

    The annotation is the JSON in an object's `attributes`, its fields those of Omni3D:
    `behind_camera`, `valid3D`, `visibility`, `truncation`, `depth_error`, `lidar_pts`,
    `segmentation_pts`; a field that is missing or negative says nothing, and removes nothing. A
    box without a volume always goes. Where the image has a camera the box is projected; one that
    is not on the image goes (`outside`), and `min_iou` measures how well the others agree with
    the 2D box given beside them. Boxes of images without a camera are not asked that, and are
    counted in `unprojected`; `cameras` gives a camera to images.

    An object goes with its 3D box; with `keep_objects` one that has a box, a point or a polygon
    besides only loses it. How many were removed is measured by reason, each under the first that
    applies. A record that had 3D boxes and keeps none is dropped, or kept with `empty: keep`.

    Source: the thresholds are those Cube R-CNN trains with (Base.yaml, datasets.py), which removes
    at the bound too; here the bound stays, as everywhere. The report on Qwen3-VL (section 3.2.5)
    drops heavily occluded and inaccurate labels, and publishes no numbers.
    """

    measures: ClassVar[dict[str, pa.DataType]] = {
        "count": pa.int32(),
        **{name: pa.int32() for name in REMOVED},
        "unprojected": pa.int32(),
        "min_iou": pa.float64(),
    }
    rewrites: ClassVar[tuple[str, ...]] = ("objects",)

    behind_camera: bool = Field(
        True, description="remove those annotated as having a corner behind the camera"
    )
    invalid: bool = Field(True, description="remove those annotated as not valid")
    min_visibility: Share | None = Field(0.25, description="annotated visibility at least")
    max_truncation: Share | None = Field(0.75, description="annotated truncation at most")
    max_depth_error: NonNegativeFloat | None = Field(
        0.5, description="annotated error of the depth at most"
    )
    min_points: NonNegativeInt | None = Field(
        1, description="annotated points of lidar, and of segmentation, at least"
    )
    max_depth: PositiveFloat | None = Field(None, description="metres to the centre at most")
    outside: bool = Field(True, description="remove those whose projection is not on the image")
    min_height: Share | None = Field(
        None,
        description="height of the projection at least, of the image's (Cube R-CNN: 0.05)",
    )
    min_iou: Share | None = Field(
        None, description="overlap of the projection with the 2D box given at least"
    )
    keep_objects: bool = Field(
        False, description="of an object with a box, a point or a polygon take only the 3D box"
    )
    empty: Empty = "drop"

    def __call__(self, batch: pa.Table, media: Media) -> Outcome:
        objects = flat_objects(batch["objects"])
        has = np.asarray(objects.field("box3d").is_valid())
        boxes = to_matrix(objects.field("box3d"), 9)
        said, broken = said_of(objects.field("attributes"), has)
        seen = visible_boxes(batch["media"], objects, boxes)
        why = has & np.stack([mask for _, mask in self._rules(boxes, said, seen)])
        first = np.where(why.any(axis=0), why.argmax(axis=0), -1)
        stays = has & (first < 0)
        masks = {name: first == at for at, name in enumerate(REMOVED)}
        masks |= {"count": stays, "unprojected": has & seen.unknown}
        rows = batch.num_rows
        columns = {name: count_objects(objects, mask, rows) for name, mask in masks.items()}
        columns["min_iou"] = _least(seen.iou, objects, rows)
        error = np.bincount(objects.rows[broken], minlength=rows) > 0
        columns = {n: pc.if_else(pa.array(error), None, c) for n, c in columns.items()}
        columns["objects"] = self._without(batch["objects"], objects, first >= 0)
        had, left = (np.bincount(objects.rows[m], minlength=rows) > 0 for m in (has, stays))
        emptied_records = had & ~left & (self.empty == "drop")
        return Outcome(
            columns,
            reasons(rows, (emptied_records, "no 3D box left")),
            reasons(rows, (error, "attributes that tell of a 3D box in no numbers")),
        )

    def _rules(
        self, boxes: np.ndarray, said: dict[str, np.ndarray], seen: VisibleBoxes
    ) -> Iterator[tuple[str, np.ndarray]]:
        """Each reason and what it removes, in the order of `REMOVED`; nan, which is unknown, is
        neither under nor over a bound."""
        points = np.fmin(said["lidar_pts"], said["segmentation_pts"])
        yield "degenerate", ~np.isfinite(boxes).all(axis=1) | (boxes[:, 3:6] <= 0).any(axis=1)
        yield "behind_camera", (said["behind_camera"] > 0) & self.behind_camera
        yield "invalid", (said["valid3D"] == 0) & self.invalid
        yield "hidden", _under(said["visibility"], self.min_visibility)
        yield "truncated", _over(said["truncation"], self.max_truncation)
        yield "wrong_depth", _over(said["depth_error"], self.max_depth_error)
        yield "few_points", _under(points, self.min_points)
        yield "far", _over(boxes[:, 2], self.max_depth)
        yield "outside", seen.outside & self.outside
        yield "low", _under((seen.boxes[:, 3] - seen.boxes[:, 1]) / UNITS, self.min_height)
        yield "disagrees", _under(seen.iou, self.min_iou)

    def _without(
        self, column: pa.Array | pa.ChunkedArray, objects: Objects, gone: np.ndarray
    ) -> pa.Array:
        other = [np.asarray(objects.field(name).is_valid()) for name in ("box", "point", "polygon")]
        loses = gone & np.any(other, axis=0) & self.keep_objects
        had = objects.field("box3d")
        left = pc.if_else(pa.array(loses), pa.scalar(None, had.type), had)
        return edit_objects(column, ~gone | loses, box3d=left)


def said_of(attributes: pa.Array, has: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Each field of `SAID` as (n,) float64, nan where an object does not say it, and (n,) bool,
    objects whose attributes are not JSON or say it in no number; asked of those in `has` alone."""
    values = np.full((len(attributes), len(SAID)), np.nan)
    broken = np.zeros(len(attributes), bool)
    asked = np.flatnonzero(has & np.asarray(attributes.is_valid()))
    texts = attributes.take(pa.array(asked)).to_pylist()
    try:
        values[asked] = _numbers(texts)
    except _NO_NUMBERS:
        for at, text in zip(asked.tolist(), texts, strict=True):  # which of them
            try:
                values[at] = _numbers([text])
            except _NO_NUMBERS:
                broken[at] = True
    values[values < 0] = np.nan
    return {name: values[:, at] for at, name in enumerate(SAID)}, broken


def _numbers(texts: list[str]) -> np.ndarray:
    """(n, fields of `SAID`), nan where one is null. Object by object: JSON has no columns."""
    found = [orjson.loads(text) for text in texts]
    said = [one.get(name) for one in found for name in SAID]
    return np.array(said, np.float64).reshape(-1, len(SAID))


def _under(values: np.ndarray, bound: float | None) -> np.ndarray:
    return np.zeros(len(values), bool) if bound is None else values < bound


def _over(values: np.ndarray, bound: float | None) -> np.ndarray:
    return np.zeros(len(values), bool) if bound is None else values > bound


def _least(values: np.ndarray, objects: Objects, records: int) -> pa.Array:
    known = ~np.isnan(values)
    return reduce_by_record(np.minimum, objects.rows[known], values[known], records)
