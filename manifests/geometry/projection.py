"""Cuboids as a camera sees them: their edges and the 2D box around them.

A camera is fx fy cx cy in pixels of the image as it is shown: u = fx x / z + cx (documented for
Omni3D by its matrix K, and in the code of Qwen3-VL's cookbook). What is behind the camera is cut
off first; a corner there would land on the wrong side of the image.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from manifests.geometry.space import UNITS

NEAR = 0.01
"""Metres before the camera from which on things are seen (ours: nothing real is nearer)."""

EDGES = np.array(
    [[0, 1], [1, 2], [2, 3], [3, 0], [4, 5], [5, 6], [6, 7], [7, 4], [0, 4], [1, 5], [2, 6], [3, 7]]
)
"""(12, 2) corners that an edge joins, as `cuboid.SIGNS` orders them."""
FACES = np.array(
    [[0, 1, 2, 3], [5, 4, 7, 6], [4, 0, 3, 7], [1, 5, 6, 2], [4, 5, 1, 0], [3, 2, 6, 7]]
)
"""(6, 4) corners around the front, back, left, right, top and bottom of a box that is not turned;
the front is that of least z, as in Cube R-CNN's code."""
FRONT = 0


class Projection(NamedTuple):
    """n cuboids in pixels: `edges` (n, 12, 2, 2), ends cut at the near plane, nan where nothing is
    before it; `boxes` (n, 4) x1 y1 x2 y2 around them, nan likewise; `cut` (n,) bool, whether any
    of a cuboid is behind; `facing` (n, 6) bool, faces whose outside the camera sees."""

    edges: np.ndarray
    boxes: np.ndarray
    cut: np.ndarray
    facing: np.ndarray


def project_points(places: np.ndarray, cameras: np.ndarray) -> np.ndarray:
    """(n, k, 2) pixels of (n, k, 3) places in metres, by (n, 4) cameras; nan behind the camera."""
    x, y, z = np.moveaxis(np.asarray(places, np.float64), 2, 0)
    fx, fy, cx, cy = np.asarray(cameras, np.float64).T[:, :, None]
    depth = np.where(z > 0, z, np.nan)
    return np.stack([fx * x / depth + cx, fy * y / depth + cy], axis=2)


def project_cuboids(corners: np.ndarray, cameras: np.ndarray) -> Projection:
    """Cuboids of (n, 8, 3) corners by (n, 4) cameras. Nothing is clipped to an image."""
    count = len(corners)
    ends, seen = _before(corners[:, EDGES])
    pixels = project_points(ends.reshape(count, 24, 3), cameras).reshape(count, 12, 2, 2)
    pixels = np.where(seen[:, :, None, None], pixels, np.nan)
    flat = pixels.reshape(count, 24, 2)
    low = np.fmin.reduce(flat, axis=1) if count else np.empty((0, 2))
    high = np.fmax.reduce(flat, axis=1) if count else np.empty((0, 2))
    cut: np.ndarray = np.any(corners[:, :, 2] < NEAR, axis=1)
    return Projection(pixels, np.concatenate([low, high], axis=1), cut, _facing(corners))


def projected_boxes(corners: np.ndarray, cameras: np.ndarray) -> np.ndarray:
    """(n, 4) the `boxes` of `projected`, edges being looked at where a cuboid is cut alone."""
    fx, fy, cx, cy = np.asarray(cameras, np.float64).T[:, :, None]
    x, y, z = np.moveaxis(corners, 2, 0)
    cut = np.any(z < NEAR, axis=1)
    depth = np.where(cut[:, None], 1.0, z)
    u, v = fx * (x / depth) + cx, fy * (y / depth) + cy
    boxes = np.stack([u.min(axis=1), v.min(axis=1), u.max(axis=1), v.max(axis=1)], axis=1)
    if cut.any():
        boxes[cut] = project_cuboids(corners[cut], cameras[cut]).boxes
    return boxes


def pixels_to_units(pixels: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """[0,1000] of (n, ..., 2) or (n, 4) pixels, by (n, 2) widths and heights as shown."""
    times = UNITS / np.asarray(sizes, np.float64)
    if pixels.ndim == 2 and pixels.shape[1] == 4:
        times = np.concatenate([times, times], axis=1)
    shape = (len(pixels), *[1] * (pixels.ndim - 2), times.shape[1])
    moved: np.ndarray = pixels * times.reshape(shape)
    return moved


def clip_to_image(units: np.ndarray) -> np.ndarray:
    """(n, 4) boxes in [0,1000] cut to their images; nan where none of one is on its image."""
    inside = np.clip(units, 0.0, UNITS)
    outside = (inside[:, :2] >= inside[:, 2:]).any(axis=1, keepdims=True)
    return np.where(outside, np.nan, inside)


def _before(ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both ends of (n, 12, 2, 3) edges moved along them to the near plane where they are behind
    it, and (n, 12) whether anything of an edge is before it."""
    depth = ends[..., 2]
    behind = depth < NEAR
    other = ends[:, :, ::-1]
    along = other[..., 2] - depth
    share = np.divide(NEAR - depth, along, out=np.zeros_like(depth), where=along != 0)
    moved = ends + share[..., None] * (other - ends)
    seen: np.ndarray = ~np.all(behind, axis=2)
    return np.where(behind[..., None], moved, ends), seen


def _facing(corners: np.ndarray) -> np.ndarray:
    """(n, 6) whether the camera, at the origin, is on the outer side of each face."""
    centre = corners.mean(axis=1)[:, None]
    middle = corners[:, FACES].mean(axis=2)
    outward = middle - centre
    facing: np.ndarray = (outward * middle).sum(axis=2) < 0
    return facing
