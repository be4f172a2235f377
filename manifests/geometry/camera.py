"""Cameras of images: known cameras, assumed cameras, and Omni3D's virtual camera.

A camera is fx fy cx cy: focal lengths and principal point, in pixels of the image as it is shown.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests.geometry.shown_sizes import shown_sizes
from manifests.record import MEDIA, media_lists
from manifests.record.objects import to_lists, to_matrix

FIELD_OF_VIEW = 60.0
"""The assumed field of view of an unknown camera in degrees, both horizontally and vertically
(published: Qwen3-VL's cookbook). So the two focal lengths differ if the image is not square."""
VIRTUAL_FOCAL = VIRTUAL_HEIGHT = 512.0
"""The focal length and the image height of the virtual camera, in pixels (published: Omni3D,
section on virtual depth; VIRTUAL_FOCAL and MIN_SIZE_TEST of Cube R-CNN)."""


class ImageCameras(NamedTuple):
    """The cameras (fx fy cx cy) and the sizes (width, height) of all images and videos of a batch,
    one row for each image or video; unknown values are nan."""

    cameras: np.ndarray
    """(media, 4): fx fy cx cy."""
    sizes: np.ndarray
    """(media, 2): width and height in pixels, as shown."""


def image_cameras(media: pa.Array | pa.ChunkedArray) -> ImageCameras:
    """Returns the cameras and sizes of all images and videos in the column `media`. The column has
    a list of images and videos for each record."""
    _, flat = media_lists(media)
    return ImageCameras(to_matrix(pc.struct_field(flat, "camera"), 4), shown_sizes(flat))


def values_per_object(values: np.ndarray, medium: np.ndarray) -> np.ndarray:
    """Returns the value of the image that each object is on. `values` has one value or row for each
    image of the batch. `medium` has, for each object, the index of its image in `values`; -1 stands
    for no image and gives nan.

    `values_per_object([5.0, 7.0], [1, 1, 0, -1]) -> [7.0, 7.0, 5.0, nan]`
    """
    none = np.full((1, *values.shape[1:]), np.nan)
    per_object: np.ndarray = np.concatenate([values, none])[medium]
    return per_object


def assumed_cameras(sizes: np.ndarray, degrees: float = FIELD_OF_VIEW) -> np.ndarray:
    """Returns (n, 4) cameras for (n, 2) image sizes. It is assumed that the field of view is
    `degrees`, both horizontally and vertically, and that the principal point is the centre of the
    image.

    `assumed_cameras([[640, 480]], 90) -> [[320, 240, 320, 240]]`
    """
    sides = np.asarray(sizes, np.float64).reshape(-1, 2)
    focal = sides / (2 * np.tan(np.deg2rad(degrees) / 2))
    return np.concatenate([focal, sides / 2], axis=1)


def rescale_cameras(
    cameras: np.ndarray, old_sizes: np.ndarray, new_sizes: np.ndarray
) -> np.ndarray:
    """Returns (n, 4) cameras of the same images after a resize from (n, 2) old sizes to (n, 2) new
    sizes.

    `rescale_cameras([[500, 500, 320, 240]], [[640, 480]], [[320, 240]]) -> [[250, 250, 160, 120]]`
    """
    factors = np.asarray(new_sizes, np.float64) / np.asarray(old_sizes, np.float64)
    scaled: np.ndarray = cameras * np.concatenate([factors, factors], axis=1)
    return scaled


def virtual_depth_scale(
    cameras: np.ndarray,
    heights: np.ndarray,
    focal: float = VIRTUAL_FOCAL,
    height: float = VIRTUAL_HEIGHT,
) -> np.ndarray:
    """Returns (n,) factors that convert the real depth of objects to Omni3D's virtual depth: (focal
    / fy) * (heights / height). `heights` are the heights of the images in pixels; `focal` and
    `height` are the focal length and the image height of the virtual camera.

    Source: Omni3D; the focal length is fy, as in the code of Cube R-CNN.
    """
    scale: np.ndarray = (focal / cameras[:, 1]) * (np.asarray(heights, np.float64) / height)
    return scale


def scale_depths(boxes: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Returns (n, 9) 3D boxes with the depth z of each centre multiplied by `scale`, (n,).

    x, y, size and angles do not change. If `scale_focal_lengths` multiplies the focal lengths by
    the same `scale`, the centre stays at the same position on the image. A second call with 1 /
    `scale` restores the boxes.
    """
    scaled = np.array(boxes, np.float64).reshape(-1, 9)
    scaled[:, 2] *= scale
    return scaled


def scale_focal_lengths(cameras: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Returns (n, 4) cameras with both focal lengths multiplied by `scale`, (n,)."""
    scaled = np.array(cameras, np.float64).reshape(-1, 4)
    scaled[:, :2] *= np.asarray(scale)[:, None]
    return scaled


def with_cameras(
    media: pa.Array | pa.ChunkedArray, cameras: np.ndarray, **fields: pa.Array
) -> pa.Array:
    """Returns the column `media` with new cameras: (n, 4), one row for each image or video of the
    column. If the new camera contains a nan, the image or video keeps its old camera.

    Each of the `fields` is a struct field of the media, such as `width`, and has one new value for
    each image or video.
    """
    offsets, flat = media_lists(media)
    old = pc.struct_field(flat, "camera")
    known = pa.array(~np.isnan(cameras).any(axis=1))
    fields["camera"] = pc.if_else(known, to_lists(cameras), old)
    children = [fields.get(f.name, pc.struct_field(flat, f.name)).cast(f.type) for f in MEDIA]
    structs = pa.StructArray.from_arrays(children, fields=list(MEDIA))
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), structs)
