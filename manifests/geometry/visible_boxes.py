"""Projects the 3D boxes of a batch onto their images, and compares them with the 2D boxes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from manifests.geometry.boxes import iou
from manifests.geometry.camera import image_cameras, values_per_object
from manifests.geometry.cuboid import corners
from manifests.geometry.object_media import object_media
from manifests.geometry.projection import clip_to_image, pixels_to_units, projected_boxes
from manifests.geometry.space import UNITS
from manifests.record.objects import Objects


class VisibleBoxes(NamedTuple):
    """How n 3D boxes appear on their images: the 2D box around each projected 3D box, the overlap
    of this 2D box with the object's own 2D box, and whether the 3D box is outside the image or
    cannot be projected."""

    boxes: np.ndarray
    """(n, 4) 2D boxes around the projections, in [0,1000], clipped to the image; nan if nothing is
    on the image."""
    iou: np.ndarray
    """(n,) intersection over union with the object's own 2D box, which is also clipped; nan if the
    object has no 2D box, or if nothing of the projection is on the image."""
    outside: np.ndarray
    """(n,) bool: whether the 3D box can be projected, but no part of it is on the image."""
    unknown: np.ndarray
    """(n,) bool: whether the object has no image, or the image no camera or no size, so that
    nothing can be projected."""


def visible_boxes(
    media: pa.Array | pa.ChunkedArray, objects: Objects, boxes: np.ndarray
) -> VisibleBoxes:
    """Projects the 3D boxes of objects onto their images, and compares each projection with the 2D
    box of the object. `boxes` (n, 9) has the `box3d` of each object, or nan for an object without a
    `box3d`."""
    images, medium = image_cameras(media), object_media(objects, media)
    cameras = values_per_object(images.cameras, medium)
    sizes = values_per_object(images.sizes, medium)
    unknown = np.isnan(cameras).any(axis=1) | np.isnan(sizes).any(axis=1)
    on_image = clip_to_image(pixels_to_units(projected_boxes(corners(boxes), cameras), sizes))
    given = np.clip(objects.boxes, 0.0, UNITS)
    shared = np.where(np.isnan(on_image + given).any(axis=1), np.nan, iou(on_image, given))
    outside = np.isfinite(boxes).all(axis=1) & ~unknown & np.isnan(on_image).any(axis=1)
    return VisibleBoxes(on_image, shared, outside, unknown)
