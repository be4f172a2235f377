"""Where the 3D boxes of a batch are seen on their images."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from manifests.geometry.boxes import overlap
from manifests.geometry.camera import images_of, of_objects
from manifests.geometry.cuboid import corners
from manifests.geometry.object_media import media_of
from manifests.geometry.projection import around, clipped, to_units
from manifests.geometry.space import UNITS
from manifests.record.objects import Objects


class Seen(NamedTuple):
    """Of n objects: `boxes` (n, 4) around their projections, in [0,1000], clipped to the image;
    `overlap` (n,) with their own 2D boxes, clipped too; nan where there is no such thing.

    `outside`: projected, and not on the image; `unknown`: image without a camera or a size.
    """

    boxes: np.ndarray
    overlap: np.ndarray
    outside: np.ndarray
    unknown: np.ndarray


def seen_of(media: pa.Array | pa.ChunkedArray, objects: Objects, boxes: np.ndarray) -> Seen:
    """Projections of (n, 9) boxes, one an object, nan where it has none."""
    images, medium = images_of(media), media_of(objects, media)
    cameras, sizes = of_objects(images.cameras, medium), of_objects(images.sizes, medium)
    unknown = np.isnan(cameras).any(axis=1) | np.isnan(sizes).any(axis=1)
    on_image = clipped(to_units(around(corners(boxes), cameras), sizes))
    given = np.clip(objects.boxes, 0.0, UNITS)
    shared = np.where(np.isnan(on_image + given).any(axis=1), np.nan, overlap(on_image, given))
    outside = np.isfinite(boxes).all(axis=1) & ~unknown & np.isnan(on_image).any(axis=1)
    return Seen(on_image, shared, outside, unknown)
