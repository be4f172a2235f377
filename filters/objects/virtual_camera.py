"""One camera for all images, so that a size on the image and a depth mean the same in each."""

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
from manifests.geometry.object_media import object_media
from manifests.media import Media
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
from manifests.step import Outcome, RowStep, reasons


class VirtualCamera(RowStep):
    """Move 3D boxes to the depth at which Omni3D's virtual camera sees them as they are seen.

    The depth of a centre is multiplied by (focal / fy) (height of the image / height), with the
    image as it is shown; x, y, sizes and angles stay. Both focal lengths of each known camera are
    multiplied likewise, so every centre stays where it is on the image, and the step done twice
    does nothing more. Sizes are real metres still, so a box is as a whole no longer quite where it
    was: put `boxes_3d`, which compares that with the 2D boxes, before. Measured are the least and
    the greatest factor over the 3D boxes of a record, null where it has none.

    With `rewrite: false` it only measures. Records without 3D boxes stay as they are; one with a
    3D box on an image whose camera or size is unknown is quarantined: put `cameras` before, which
    gives images their camera, or assumes one and says so in `cameras.assumed`.

    Source: Omni3D, section on virtual depth; the report on Qwen3-VL (section 3.2.5) unifies its 3D
    data so.
    """

    measures: ClassVar[dict[str, pa.DataType]] = {
        "boxes": pa.int32(),
        "min_scale": pa.float64(),
        "max_scale": pa.float64(),
    }
    rewrites: ClassVar[tuple[str, ...]] = ("objects", "media")

    focal: PositiveFloat = Field(
        VIRTUAL_FOCAL, description="of the virtual camera, in pixels of an image of its height"
    )
    height: PositiveFloat = Field(VIRTUAL_HEIGHT, description="of its images, in pixels")
    rewrite: bool = Field(True, description="false: measure, and leave boxes and cameras alone")

    def __call__(self, batch: pa.Table, media: Media) -> Outcome:
        objects, images = flat_objects(batch["objects"]), image_cameras(batch["media"])
        has = np.asarray(objects.field("box3d").is_valid())
        scales = virtual_depth_scale(images.cameras, images.sizes[:, 1], self.focal, self.height)
        scale = values_per_object(scales, object_media(objects, batch["media"]))
        unknown, rows = has & ~(scale > 0), batch.num_rows
        error = np.bincount(objects.rows[unknown], minlength=rows) > 0
        columns = {
            "boxes": count_objects(objects, has, rows),
            "min_scale": reduce_by_record(np.minimum, objects.rows[has], scale[has], rows),
            "max_scale": reduce_by_record(np.maximum, objects.rows[has], scale[has], rows),
        }
        columns = {n: pc.if_else(pa.array(error), None, c) for n, c in columns.items()}
        columns["objects"], columns["media"] = (one_chunk(batch[n]) for n in self.rewrites)
        if self.rewrite:
            moved = scale_focal_lengths(images.cameras, scales)
            columns["objects"] = _moved(batch["objects"], objects, scale)
            columns["media"] = with_cameras(batch["media"], moved)
        return Outcome(
            columns, None, reasons(rows, (error, "a 3D box on an image without a camera"))
        )


def _moved(column: pa.Array | pa.ChunkedArray, objects: Objects, scale: np.ndarray) -> pa.Array:
    had = objects.field("box3d")
    moved = to_lists(scale_depths(to_matrix(had, 9), scale))
    found = pc.if_else(moved.is_valid(), moved, had)
    return edit_objects(column, np.ones(len(had), bool), box3d=found)
