"""The step `boxes_3d`: removes 3D boxes that have a bad annotation, or are not visible on their
image."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from typing import Annotated, ClassVar, Literal

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat

from manifests.errors import RowError
from manifests.geometry.space import UNITS
from manifests.geometry.visible_boxes import VisibleBoxes, visible_boxes
from manifests.record.images import reduce_by_record
from manifests.record.objects import Objects, count_objects, edit_objects, flat_objects, to_matrix
from manifests.step import Bound, Context, Measured, RowErrors, RowStep, reasons
from manifests.step.bounds import Share

ANNOTATED = (
    "behind_camera",
    "valid3D",
    "visibility",
    "truncation",
    "depth_error",
    "lidar_pts",
    "segmentation_pts",
)
"""Fields of an object's `attributes` about its 3D box (documented: Omni3D, DATA.md). A negative
number means unknown."""
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
    "small",
    "low_iou",
)
"""Reasons to remove a 3D box, in the order in which they are tested."""
_NOT_NUMBERS = (AttributeError, TypeError, ValueError)
_FIX = "Correct the object's `attributes` in the source."


class Boxes3d(RowStep):
    """Remove 3D boxes that their annotation marks as bad, or that are not visible on the image.

    The annotation is JSON in an object's `attributes`, with the fields of Omni3D: `behind_camera`,
    `valid3D`, `visibility`, `truncation`, `depth_error`, `lidar_pts`, `segmentation_pts`. A missing
    or negative field means unknown, and removes nothing.

    A box without a volume, or with a number that is missing or infinite, is always removed. If the
    image has a camera, the box is projected onto the image. `outside` removes boxes that are not on
    the image, and `min_iou` removes boxes that overlap too little with the 2D box of the same
    object. Boxes without an image, or on an image without a camera or a size, cannot be tested in
    this way; `unprojected` counts them. Put `cameras` before this step to give images a camera.

    The whole object is removed. With `keep_objects` an object that also has a box, a point or a
    polygon loses only its 3D box. The measures count removed 3D boxes by reason, each under the
    first reason that applies; `count` is the number of 3D boxes that stay. A record that loses all
    its 3D boxes is dropped even if it has other objects; with `empty: keep` it is kept. A record
    with a 3D box whose `attributes` cannot be read is quarantined.

    Source: Cube R-CNN trains with these thresholds (Base.yaml, datasets.py). It also removes a box
    that is exactly at a threshold; this step keeps it, as all steps do. The report on Qwen3-VL
    (section 3.2.5) drops heavily occluded and inaccurate labels, and publishes no numbers.
    """

    rewrites: ClassVar[tuple[str, ...]] = ("objects",)
    renamed: ClassVar[dict[str, str]] = {"low": "small", "disagrees": "low_iou"}

    behind_camera: bool = Field(
        True, description="remove boxes annotated as partly behind the camera"
    )
    invalid: bool = Field(True, description="remove boxes annotated as not valid")
    min_visibility: Share | None = Field(0.25, description="smallest annotated visibility")
    max_truncation: Share | None = Field(0.75, description="largest annotated truncation")
    max_depth_error: NonNegativeFloat | None = Field(
        0.5, description="largest annotated error of the depth"
    )
    min_points: NonNegativeInt | None = Field(
        1, description="smallest annotated number of lidar points, and of segmentation points"
    )
    max_depth: PositiveFloat | None = Field(
        None, description="largest depth of the centre, in metres; null: no limit"
    )
    outside: bool = Field(True, description="remove boxes whose projection is not on the image")
    min_height: Share | None = Field(
        None,
        description="smallest height of the projection, as a share of the image's height "
        "(Cube R-CNN: 0.05); null: no limit",
    )
    min_iou: Share | None = Field(
        None,
        description="smallest intersection over union of the projection and the object's 2D box; "
        "null: no limit",
    )
    keep_objects: bool = Field(
        False, description="remove only the 3D box from an object that has a box, point or polygon"
    )
    empty: Annotated[Literal["drop", "keep"], Bound()] = Field(
        "drop", description="drop or keep a record when this step removes all its 3D boxes"
    )

    def reads(self) -> tuple[str, ...]:
        return ("objects", "media")

    def measures(self) -> dict[str, pa.DataType]:
        counts = dict.fromkeys(("count", *REMOVED, "unprojected"), pa.int32())
        return {**counts, "min_iou": pa.float64()}

    def measure(self, batch: pa.Table, context: Context) -> Measured:
        objects = flat_objects(batch["objects"])
        has = np.asarray(objects.field("box3d").is_valid())
        boxes = to_matrix(objects.field("box3d"), 9)
        annotated, faults = read_annotations(objects.field("attributes"), has)
        visible = visible_boxes(batch["media"], objects, boxes)
        failed = has & np.stack([mask for _, mask in self._tests(boxes, annotated, visible)])
        first = np.where(failed.any(axis=0), failed.argmax(axis=0), -1)
        keep = has & (first < 0)
        masks = {name: first == number for number, name in enumerate(REMOVED)}
        masks |= {"count": keep, "unprojected": has & visible.unknown}
        rows = batch.num_rows
        columns = {name: count_objects(objects, mask, rows) for name, mask in masks.items()}
        columns["min_iou"] = _minimum(visible.iou, objects, rows)
        errors, failed_rows = RowErrors(rows), np.zeros(rows, bool)
        for index, fault in faults.items():
            errors.add(int(objects.rows[index]), RowError(fault, fix=_FIX))
            failed_rows[objects.rows[index]] = True
        columns = {n: pc.if_else(pa.array(failed_rows), None, c) for n, c in columns.items()}
        columns["objects"] = self._without(batch["objects"], objects, first >= 0)
        return Measured(columns, errors)

    def decide(self, measured: pa.Table) -> pa.Array | None:
        if self.empty == "keep":
            return None
        removed = reduce(pc.add, (measured[name] for name in REMOVED))
        none_left = pc.and_(pc.greater(removed, 0), pc.equal(measured["count"], 0))
        return reasons(measured.num_rows, (none_left, "no 3D box left"))

    def _tests(
        self, boxes: np.ndarray, annotated: dict[str, np.ndarray], visible: VisibleBoxes
    ) -> Iterator[tuple[str, np.ndarray]]:
        """Yields each reason in `REMOVED`, in the order of `REMOVED`, with a mask (n,) of the boxes
        that are removed for this reason.

        `annotated` has the fields of the boxes' annotations, and `visible` their projections. An
        unknown value is nan, which is neither under nor over a bound.
        """
        points = np.fmin(annotated["lidar_pts"], annotated["segmentation_pts"])
        height = (visible.boxes[:, 3] - visible.boxes[:, 1]) / UNITS
        yield "degenerate", ~np.isfinite(boxes).all(axis=1) | (boxes[:, 3:6] <= 0).any(axis=1)
        yield "behind_camera", (annotated["behind_camera"] > 0) & self.behind_camera
        yield "invalid", (annotated["valid3D"] == 0) & self.invalid
        yield "hidden", _under(annotated["visibility"], self.min_visibility)
        yield "truncated", _over(annotated["truncation"], self.max_truncation)
        yield "wrong_depth", _over(annotated["depth_error"], self.max_depth_error)
        yield "few_points", _under(points, self.min_points)
        yield "far", _over(boxes[:, 2], self.max_depth)
        yield "outside", visible.outside & self.outside
        yield "small", _under(height, self.min_height)
        yield "low_iou", _under(visible.iou, self.min_iou)

    def _without(
        self, column: pa.Array | pa.ChunkedArray, objects: Objects, removed: np.ndarray
    ) -> pa.Array:
        """Returns the column `objects` without the objects in `removed`; with `keep_objects`, only
        their 3D boxes are removed."""
        other = [np.asarray(objects.field(name).is_valid()) for name in ("box", "point", "polygon")]
        stripped = removed & np.any(other, axis=0) & self.keep_objects
        old = objects.field("box3d")
        box3d = pc.if_else(pa.array(stripped), pa.scalar(None, old.type), old)
        return edit_objects(column, ~removed | stripped, box3d=box3d)


def read_annotations(
    attributes: pa.Array, has: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[int, str]]:
    """Returns each field of `ANNOTATED` as (n,) float64, nan if unknown; and a dict from the number
    of an object to the error text, for the objects whose attributes are not a JSON object, or have
    a field of `ANNOTATED` that is not a number.

    `has` (n,) bool: only the attributes of these objects are parsed.
    """
    values = np.full((len(attributes), len(ANNOTATED)), np.nan)
    faults: dict[int, str] = {}
    indices = np.flatnonzero(has & np.asarray(attributes.is_valid()))
    texts = attributes.take(pa.array(indices)).to_pylist()
    try:
        values[indices] = _numbers(texts)
    except _NOT_NUMBERS:
        for index, text in zip(indices.tolist(), texts, strict=True):  # to find the broken text
            try:
                values[index] = _numbers([text])
            except _NOT_NUMBERS:
                faults[index] = _fault(text)
    values[values < 0] = np.nan
    return {name: values[:, at] for at, name in enumerate(ANNOTATED)}, faults


def _numbers(texts: list[str]) -> np.ndarray:
    """Returns the fields of `ANNOTATED` in n JSON texts: (n, fields) float64, nan if a field is
    null or missing."""
    parsed = [orjson.loads(text) for text in texts]
    values = [one.get(name) for one in parsed for name in ANNOTATED]
    return np.array(values, np.float64).reshape(-1, len(ANNOTATED))


def _fault(text: str) -> str:
    """Returns the error text for attributes that `_numbers` cannot read."""
    try:
        parsed = orjson.loads(text)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        return f"the attributes of a 3D box are {text!r:.80}, which is not a JSON object"
    for name in ANNOTATED:
        try:
            _numbers([orjson.dumps({name: parsed.get(name)}).decode()])
        except _NOT_NUMBERS:
            return f"the attribute `{name}` of a 3D box is {parsed[name]!r:.80}, not a number"
    raise AssertionError(text)


def _under(values: np.ndarray, bound: float | None) -> np.ndarray:
    return np.zeros(len(values), bool) if bound is None else values < bound


def _over(values: np.ndarray, bound: float | None) -> np.ndarray:
    return np.zeros(len(values), bool) if bound is None else values > bound


def _minimum(values: np.ndarray, objects: Objects, records: int) -> pa.Array:
    """Returns the smallest of the values of each record's objects, (records,), ignoring nan; null
    for a record without values."""
    known = ~np.isnan(values)
    return reduce_by_record(np.minimum, objects.rows[known], values[known], records)
