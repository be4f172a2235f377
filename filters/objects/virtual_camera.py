"""The step `virtual_camera`: scales the depths of 3D boxes as if one camera took all images."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, PositiveFloat

from manifests.geometry.camera import (
    VIRTUAL_FOCAL,
    VIRTUAL_HEIGHT,
    image_cameras,
    scale_depths,
    scale_focal_lengths,
    values_per_object,
    virtual_depth_scale,
    with_cameras,
)
from manifests.geometry.object_media import NO_IMAGE, object_media
from manifests.geometry.shown_sizes import UNKNOWN_SIZE
from manifests.record import one_chunk
from manifests.record.images import reduce_by_record
from manifests.record.objects import (
    Objects,
    count_objects,
    edit_objects,
    flat_objects,
    to_lists,
    to_matrix,
)
from manifests.step import Context, Measured, RowErrors, RowStep, reasons

_NO_CAMERA = "a 3D box is on an image without a camera; run the step cameras before"


class VirtualCamera(RowStep):
    """Scale the depths of 3D boxes as if one camera, Omni3D's virtual camera, had taken all images.

    With one virtual camera, objects of the same size and depth appear equally large on all images.
    The depth of a box's centre is multiplied by (focal / fy) * (image height / height), with the
    image as shown; x, y, sizes and angles do not change. Both focal lengths of a known camera are
    multiplied by the same factor. So each centre keeps its place on the image, and a second run of
    the step changes nothing. The sizes are still real metres, so the projection of the whole box
    does change a little: put `boxes_3d`, which compares projections with 2D boxes, before this
    step. Measures: `boxes` is the number of 3D boxes of a record; `min_scale` and `max_scale` are
    the smallest and largest factor, null for a record without 3D boxes.

    With `rewrite: false` the step only measures. A known camera is changed even if its record has
    no 3D box. A record is quarantined if it has a 3D box that is on no image of the record, or on
    an image without a known camera or size. Put `cameras` before this step; it gives images of
    known size a camera, and counts assumed cameras in `cameras.assumed`.

    Source: Omni3D, section on virtual depth. The report on Qwen3-VL (section 3.2.5) unifies its 3D
    data this way.
    """

    rewrites: ClassVar[tuple[str, ...]] = ("objects", "media")

    focal: PositiveFloat = Field(
        VIRTUAL_FOCAL, description="focal length of the virtual camera, in pixels of its image"
    )
    height: PositiveFloat = Field(
        VIRTUAL_HEIGHT, description="height of the virtual camera's image, in pixels"
    )
    rewrite: bool = Field(True, description="change boxes and cameras; false: only measure")

    def reads(self) -> tuple[str, ...]:
        return ("objects", "media")

    def measures(self) -> dict[str, pa.DataType]:
        return {"boxes": pa.int32(), "min_scale": pa.float64(), "max_scale": pa.float64()}

    def measure(self, batch: pa.Table, context: Context) -> Measured:
        objects, images = flat_objects(batch["objects"]), image_cameras(batch["media"])
        has = np.asarray(objects.field("box3d").is_valid())
        scales = virtual_depth_scale(images.cameras, images.sizes[:, 1], self.focal, self.height)
        medium = object_media(objects, batch["media"])
        scale = values_per_object(scales, medium)
        unknown, rows = has & ~(scale > 0), batch.num_rows
        no_size = unknown & np.isnan(values_per_object(images.sizes[:, 1], medium))
        causes = (unknown & (medium < 0), no_size, unknown)
        masks = [np.bincount(objects.rows[cause], minlength=rows) > 0 for cause in causes]
        columns = {
            "boxes": count_objects(objects, has, rows),
            "min_scale": reduce_by_record(np.minimum, objects.rows[has], scale[has], rows),
            "max_scale": reduce_by_record(np.maximum, objects.rows[has], scale[has], rows),
        }
        columns = {n: pc.if_else(pa.array(masks[-1]), None, c) for n, c in columns.items()}
        columns["objects"], columns["media"] = (one_chunk(batch[n]) for n in self.rewrites)
        if self.rewrite:
            moved = scale_focal_lengths(images.cameras, scales)
            columns["objects"] = _moved(batch["objects"], objects, scale)
            columns["media"] = with_cameras(batch["media"], moved)
        faults = reasons(rows, *zip(masks, (NO_IMAGE, UNKNOWN_SIZE, _NO_CAMERA), strict=True))
        return Measured(columns, RowErrors.where(faults.to_pylist()))


def _moved(column: pa.Array | pa.ChunkedArray, objects: Objects, scale: np.ndarray) -> pa.Array:
    """Returns the column `objects` in which the depth of each 3D box is multiplied by `scale`; a 3D
    box with an unknown scale does not change."""
    old = objects.field("box3d")
    moved = to_lists(scale_depths(to_matrix(old, 9), scale))
    box3d = pc.if_else(moved.is_valid(), moved, old)
    return edit_objects(column, np.ones(len(old), bool), box3d=box3d)
