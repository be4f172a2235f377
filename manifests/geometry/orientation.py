"""Places on an image as it is stored, and as it is shown: the turns of Exif's orientation."""

from __future__ import annotations

import numpy as np

from manifests.geometry.shown_sizes import TRANSPOSED
from manifests.geometry.space import UNITS

_FROM_RIGHT, _FROM_BELOW = (2, 3, 6, 7), (3, 4, 7, 8)


def points_as_shown(places: np.ndarray, orientation: np.ndarray) -> np.ndarray:
    """(n, 2) x y in [0,1000] of images as they are shown, of those as they are stored."""
    swapped = np.isin(orientation, TRANSPOSED)[:, None]
    found = np.where(swapped, places[:, ::-1], places)
    return _mirrored(found, orientation)


def points_as_stored(places: np.ndarray, orientation: np.ndarray) -> np.ndarray:
    """The way back of `shown`."""
    found = _mirrored(places, orientation)
    return np.where(np.isin(orientation, TRANSPOSED)[:, None], found[:, ::-1], found)


def boxes_as_shown(boxes: np.ndarray, orientation: np.ndarray) -> np.ndarray:
    """(n, 4) x1 y1 x2 y2 of images as they are shown."""
    return _of_corners(
        points_as_shown(boxes[:, :2], orientation),
        points_as_shown(boxes[:, 2:], orientation),
        boxes,
    )


def boxes_as_stored(boxes: np.ndarray, orientation: np.ndarray) -> np.ndarray:
    """The way back of `boxes_shown`."""
    return _of_corners(
        points_as_stored(boxes[:, :2], orientation),
        points_as_stored(boxes[:, 2:], orientation),
        boxes,
    )


def _of_corners(a: np.ndarray, b: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """The box of two turned corners; what was the wrong way round stays so."""
    inverted = boxes[:, :2] > boxes[:, 2:]
    low, high = np.minimum(a, b), np.maximum(a, b)
    wrong = inverted.any(axis=1, keepdims=True)
    return np.concatenate([np.where(wrong, high, low), np.where(wrong, low, high)], axis=1)


def _mirrored(places: np.ndarray, orientation: np.ndarray) -> np.ndarray:
    flips = np.stack([np.isin(orientation, _FROM_RIGHT), np.isin(orientation, _FROM_BELOW)], axis=1)
    return np.where(flips, UNITS - places, places)
