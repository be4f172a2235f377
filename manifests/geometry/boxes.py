"""Areas of boxes and how much of them two have in common. Boxes are (n, 4): x1 y1 x2 y2."""

from __future__ import annotations

import numpy as np


def all_finite(numbers: np.ndarray) -> np.ndarray:
    """(n,) bool: all numbers of a row are finite. By columns: numpy is slow along short rows."""
    total = numbers[:, 0]
    for column in numbers.T[1:]:
        total = total + column
    found: np.ndarray = np.isfinite(total)
    return found


def areas(boxes: np.ndarray) -> np.ndarray:
    """(n,); a box the wrong way round has none."""
    return _product(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])


def intersection_areas(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(n,): the area that each box of `a` and its like of `b` have in common."""
    return _product(
        np.minimum(a[:, 2], b[:, 2]) - np.maximum(a[:, 0], b[:, 0]),
        np.minimum(a[:, 3], b[:, 3]) - np.maximum(a[:, 1], b[:, 1]),
    )


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(n,): intersection over union (IoU); 1 of equal boxes, though they have no area."""
    shared = intersection_areas(a, b)
    union = areas(a) + areas(b) - shared
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.where(union > 0, shared / union, 0.0)
    found[(a == b).all(axis=1)] = 1.0
    return found


def _product(width: np.ndarray, height: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.maximum(width, 0) * np.maximum(height, 0)
    return found
