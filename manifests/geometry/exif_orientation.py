"""Converts coordinates and pixels from the stored image to the shown image and back, by Exif's
orientation.

Coordinates are in [0,1000] of the image. Orientation is Exif's number, 1 to 8 (Exif 2.32, tag
0x0112). `manifests.media.header.orientation` reads it from the bytes of a file.
"""

from __future__ import annotations

import numpy as np

from manifests.geometry.shown_sizes import TRANSPOSED
from manifests.geometry.space import UNITS

_FROM_RIGHT, _FROM_BELOW = (2, 3, 6, 7), (3, 4, 7, 8)
"""The orientations in which the x axis (first tuple) or the y axis (second tuple) of the shown
image runs opposite to its axis of the stored image."""


def points_as_shown(points: np.ndarray, orientation: np.ndarray) -> np.ndarray:
    """Returns (n, 2) x y on the shown images, from (n, 2) x y on the stored images.

    `points_as_shown([[100, 0]], [6]) -> [[1000, 100]]`: an image with orientation 6 is shown
    rotated clockwise by 90 degrees.
    """
    swapped = np.isin(orientation, TRANSPOSED)[:, None]
    return _mirrored(np.where(swapped, points[:, ::-1], points), orientation)


def points_as_stored(points: np.ndarray, orientation: np.ndarray) -> np.ndarray:
    """Returns (n, 2) x y on the stored images, from (n, 2) x y on the shown images: the inverse of
    `points_as_shown`."""
    mirrored = _mirrored(points, orientation)
    return np.where(np.isin(orientation, TRANSPOSED)[:, None], mirrored[:, ::-1], mirrored)


def boxes_as_shown(boxes: np.ndarray, orientation: np.ndarray) -> np.ndarray:
    """Returns (n, 4) x1 y1 x2 y2 on the shown images, from (n, 4) boxes on the stored images."""
    first = points_as_shown(boxes[:, :2], orientation)
    last = points_as_shown(boxes[:, 2:], orientation)
    return _box_of_corners(first, last, boxes)


def boxes_as_stored(boxes: np.ndarray, orientation: np.ndarray) -> np.ndarray:
    """Returns (n, 4) x1 y1 x2 y2 on the stored images, from (n, 4) boxes on the shown images."""
    first = points_as_stored(boxes[:, :2], orientation)
    last = points_as_stored(boxes[:, 2:], orientation)
    return _box_of_corners(first, last, boxes)


def pixels_as_shown(stored: np.ndarray, orientation: int) -> np.ndarray:
    """Returns the pixels (rows, columns, ...) of the shown image, as a view of the stored pixels.

    `pixels_as_shown([[1, 2], [3, 4]], 6) -> [[3, 1], [4, 2]]`
    """
    turned = stored.swapaxes(0, 1) if orientation in TRANSPOSED else stored
    rows = slice(None, None, -1 if orientation in _FROM_BELOW else 1)
    columns = slice(None, None, -1 if orientation in _FROM_RIGHT else 1)
    return turned[rows, columns]


def _box_of_corners(a: np.ndarray, b: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Returns boxes x1 y1 x2 y2, with x1 <= x2 and y1 <= y2, from two opposite corners `a` and `b`
    of each box. If the box with the same index in `boxes` is inverted (x1 > x2 or y1 > y2), the
    returned box is inverted too: x1 >= x2 and y1 >= y2."""
    inverted = (boxes[:, :2] > boxes[:, 2:]).any(axis=1, keepdims=True)
    low, high = np.minimum(a, b), np.maximum(a, b)
    return np.concatenate([np.where(inverted, high, low), np.where(inverted, low, high)], axis=1)


def _mirrored(points: np.ndarray, orientation: np.ndarray) -> np.ndarray:
    flips = np.stack([np.isin(orientation, _FROM_RIGHT), np.isin(orientation, _FROM_BELOW)], axis=1)
    return np.where(flips, UNITS - points, points)
