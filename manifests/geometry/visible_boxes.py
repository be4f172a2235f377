"""Where the 3D boxes of a batch are seen on their images."""

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
    """Of n objects: `boxes` (n, 4) around their projections, in [0,1000], clipped to the image;
    `overlap` (n,) with their own 2D boxes, clipped too; nan where there is no such thing.

    `outside`: projected, and not on the image; `unknown`: image without a camera or a size.
    """

    boxes: np.ndarray
    iou: np.ndarray
    outside: np.ndarray
    unknown: np.ndarray


def visible_boxes(
    media: pa.Array | pa.ChunkedArray, objects: Objects, boxes: np.ndarray
) -> VisibleBoxes:
    """Projections of (n, 9) boxes, one an object, nan where it has none."""
    images, medium = image_cameras(media), object_media(objects, media)
    cameras, sizes = (
        values_per_object(images.cameras, medium),
        values_per_object(images.sizes, medium),
    )
    unknown = np.isnan(cameras).any(axis=1) | np.isnan(sizes).any(axis=1)
    on_image = clip_to_image(pixels_to_units(projected_boxes(corners(boxes), cameras), sizes))
    given = np.clip(objects.boxes, 0.0, UNITS)
    shared = np.where(np.isnan(on_image + given).any(axis=1), np.nan, iou(on_image, given))
    outside = np.isfinite(boxes).all(axis=1) & ~unknown & np.isnan(on_image).any(axis=1)
    return VisibleBoxes(on_image, shared, outside, unknown)
