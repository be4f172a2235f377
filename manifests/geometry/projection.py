"""Projects 3D boxes with a camera: computes their edges on the image, and the 2D boxes around them.

A camera is fx fy cx cy in pixels of the image as it is shown. A point has the pixel coordinate u =
fx x / z + cx (documented for Omni3D by its matrix K, and in the code of Qwen3-VL's cookbook). The
part of a box that is behind the near plane is removed before the projection, because a corner
behind the camera would be projected to the opposite side of the image.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from manifests.geometry.space import UNITS

NEAR = 0.01
"""Distance of the near plane in metres (our choice: no real object is nearer to a camera)."""

EDGES = np.array(
    [[0, 1], [1, 2], [2, 3], [3, 0], [4, 5], [5, 6], [6, 7], [7, 4], [0, 4], [1, 5], [2, 6], [3, 7]]
)
"""(12, 2): the two corners of each edge, numbered as in `cuboid.SIGNS`."""
FACES = np.array(
    [[0, 1, 2, 3], [5, 4, 7, 6], [4, 0, 3, 7], [1, 5, 6, 2], [4, 5, 1, 0], [3, 2, 6, 7]]
)
"""(6, 4): the corners of the front, back, left, right, top and bottom face of an unrotated box, in
order around the face. The front is the face with the smallest z, as in Cube R-CNN's code."""
FRONT = 0


class Projection(NamedTuple):
    """How n cuboids appear on an image: the edges of each cuboid, the 2D box around it, whether the
    near plane cuts it, and which of its faces the camera sees. Coordinates are in pixels, not
    clipped to the image."""

    edges: np.ndarray
    """(n, 12, 2, 2) ends of the edges, cut at the near plane; nan for an edge behind the plane."""
    boxes: np.ndarray
    """(n, 4) x1 y1 x2 y2 around the edges; nan for a cuboid behind the near plane."""
    cut: np.ndarray
    """(n,) bool: whether a part of the cuboid is behind the near plane."""
    facing: np.ndarray
    """(n, 6) bool: whether the camera sees the outside of each face, in the order of FACES."""


def project_points(points: np.ndarray, cameras: np.ndarray) -> np.ndarray:
    """Returns (n, k, 2) pixel coordinates, from (n, k, 3) points in metres and (n, 4) cameras fx fy
    cx cy; nan for a point that is not in front of the camera.

    `project_points([[[1, 0, 2]]], [[500, 500, 320, 240]]) -> [[[570, 240]]]`
    """
    x, y, z = np.moveaxis(np.asarray(points, np.float64), 2, 0)
    fx, fy, cx, cy = np.asarray(cameras, np.float64).T[:, :, None]
    depth = np.where(z > 0, z, np.nan)
    return np.stack([fx * x / depth + cx, fy * y / depth + cy], axis=2)


def project_cuboids(corners: np.ndarray, cameras: np.ndarray) -> Projection:
    """Projects n cuboids onto their images. `corners` (n, 8, 3) are in metres; `cameras` (n, 4) are
    fx fy cx cy in pixels."""
    count = len(corners)
    ends, visible = _cut_at_near_plane(corners[:, EDGES])
    pixels = project_points(ends.reshape(count, 24, 3), cameras).reshape(count, 12, 2, 2)
    pixels = np.where(visible[:, :, None, None], pixels, np.nan)
    flat = pixels.reshape(count, 24, 2)
    low = np.fmin.reduce(flat, axis=1) if count else np.empty((0, 2))
    high = np.fmax.reduce(flat, axis=1) if count else np.empty((0, 2))
    cut: np.ndarray = np.any(corners[:, :, 2] < NEAR, axis=1)
    return Projection(pixels, np.concatenate([low, high], axis=1), cut, _facing(corners))


def projected_boxes(corners: np.ndarray, cameras: np.ndarray) -> np.ndarray:
    """Returns (n, 4) x1 y1 x2 y2, the same as `project_cuboids(...).boxes`, but faster: only the
    corners of a cuboid are projected, and its edges only if the near plane cuts the cuboid."""
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
    """Returns coordinates in [0,1000], from pixels: (n, ..., 2) points or (n, 4) boxes.

    `sizes` are (n, 2) widths and heights of the images as shown.
    `pixels_to_units([[320, 240]], [[640, 480]]) -> [[500, 500]]`
    """
    factors = UNITS / np.asarray(sizes, np.float64)
    if pixels.ndim == 2 and pixels.shape[1] == 4:
        factors = np.concatenate([factors, factors], axis=1)
    shape = (len(pixels), *[1] * (pixels.ndim - 2), factors.shape[1])
    units: np.ndarray = pixels * factors.reshape(shape)
    return units


def clip_to_image(units: np.ndarray) -> np.ndarray:
    """Returns (n, 4) boxes in [0,1000], clipped to their images; nan for a box of which no area is
    inside.

    `clip_to_image([[-50, 10, 60, 20], [-50, 10, -40, 20]]) -> [[0, 10, 60, 20], [nan, ...]]`
    """
    inside = np.clip(units, 0.0, UNITS)
    outside = (inside[:, :2] >= inside[:, 2:]).any(axis=1, keepdims=True)
    return np.where(outside, np.nan, inside)


def _cut_at_near_plane(ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cuts the edges of cuboids at the near plane: an end of an edge that is behind the plane is
    moved along the edge onto the plane. `ends` are (n, 12, 2, 3) points in metres, two points for
    each edge.

    Returns the new ends, (n, 12, 2, 3), and whether any part of an edge is in front of the plane,
    (n, 12) bool.
    """
    depth = ends[..., 2]
    behind = depth < NEAR
    other = ends[:, :, ::-1]
    along = other[..., 2] - depth
    fraction = np.divide(NEAR - depth, along, out=np.zeros_like(depth), where=along != 0)
    moved = ends + fraction[..., None] * (other - ends)
    visible: np.ndarray = ~np.all(behind, axis=2)
    return np.where(behind[..., None], moved, ends), visible


def _facing(corners: np.ndarray) -> np.ndarray:
    """Returns (n, 6) bool: for each face of n cuboids, whether the camera, which is at the origin,
    sees it from outside."""
    centre = corners.mean(axis=1)[:, None]
    middle = corners[:, FACES].mean(axis=2)
    outward = middle - centre
    facing: np.ndarray = (outward * middle).sum(axis=2) < 0
    return facing
