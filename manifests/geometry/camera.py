"""Cameras: what is known of the one that took an image, what is assumed, and the virtual one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests.geometry.shown_sizes import shown_sizes
from manifests.record import MEDIA, media_lists
from manifests.record.objects import to_lists, to_matrix

FIELD_OF_VIEW = 60.0
"""Degrees, of width and of height both (published: Qwen3-VL's cookbook, where a camera is unknown;
its pixels are then not square on an image that is not)."""
VIRTUAL_FOCAL = VIRTUAL_HEIGHT = 512.0
"""Pixels (published: Omni3D, section on virtual depth; VIRTUAL_FOCAL and MIN_SIZE_TEST of Cube
R-CNN)."""


class ImageCameras(NamedTuple):
    """The media of a batch, flat: `cameras` (n, 4), and `sizes` (n, 2) width and height as they
    are shown; nan where unknown."""

    cameras: np.ndarray
    sizes: np.ndarray


def image_cameras(media: pa.Array | pa.ChunkedArray) -> ImageCameras:
    """What is known of each image."""
    _, flat = media_lists(media)
    return ImageCameras(to_matrix(pc.struct_field(flat, "camera"), 4), shown_sizes(flat))


def values_per_object(values: np.ndarray, medium: np.ndarray) -> np.ndarray:
    """Of one value a medium, that of the medium each object is on; nan where it is on none, -1."""
    none = np.full((1, *values.shape[1:]), np.nan)
    found: np.ndarray = np.concatenate([values, none])[medium]
    return found


def assumed_cameras(sizes: np.ndarray, degrees: float = FIELD_OF_VIEW) -> np.ndarray:
    """(n, 4) cameras of a field of view, their centre that of images of (n, 2) `sizes`."""
    seen = np.asarray(sizes, np.float64).reshape(-1, 2)
    focal = seen / (2 * np.tan(np.deg2rad(degrees) / 2))
    return np.concatenate([focal, seen / 2], axis=1)


def rescale_cameras(cameras: np.ndarray, of: np.ndarray, to: np.ndarray) -> np.ndarray:
    """(n, 4) cameras of images of (n, 2) sizes, as they are of the same ones at other sizes."""
    times = np.asarray(to, np.float64) / np.asarray(of, np.float64)
    moved: np.ndarray = cameras * np.concatenate([times, times], axis=1)
    return moved


def virtual_depth_scale(
    cameras: np.ndarray,
    heights: np.ndarray,
    focal: float = VIRTUAL_FOCAL,
    height: float = VIRTUAL_HEIGHT,
) -> np.ndarray:
    """(n,) virtual by real depth: (f_v / f) (H / H_v), f being fy as in Cube R-CNN's code."""
    scale: np.ndarray = (focal / cameras[:, 1]) * (np.asarray(heights, np.float64) / height)
    return scale


def scale_depths(boxes: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """(n, 9) boxes with the depth of their centre times `scale`: x, y, size and angles stay, so
    the centre stays where it is on the image if the focal lengths are scaled too. With 1 / scale
    the way back."""
    found = np.array(boxes, np.float64).reshape(-1, 9)
    found[:, 2] *= scale
    return found


def scale_focal_lengths(cameras: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """(n, 4) cameras with both focal lengths times `scale`."""
    found = np.array(cameras, np.float64).reshape(-1, 4)
    found[:, :2] *= np.asarray(scale)[:, None]
    return found


def with_cameras(
    media: pa.Array | pa.ChunkedArray, cameras: np.ndarray, **fields: pa.Array
) -> pa.Array:
    """The column `media` with (n, 4) cameras where they are known, and other fields replaced."""
    offsets, flat = media_lists(media)
    old = pc.struct_field(flat, "camera")
    known = pa.array(~np.isnan(cameras).any(axis=1))
    fields["camera"] = pc.if_else(known, to_lists(cameras), old)
    children = [fields.get(f.name, pc.struct_field(flat, f.name)).cast(f.type) for f in MEDIA]
    structs = pa.StructArray.from_arrays(children, fields=list(MEDIA))
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), structs)
