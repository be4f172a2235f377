"""Areas of boxes and their intersection over union. Boxes are (n, 4): x1 y1 x2 y2."""

from __future__ import annotations

import numpy as np


def all_finite(numbers: np.ndarray) -> np.ndarray:
    """Returns (n,) bool: whether all numbers of a row are finite.

    The function adds whole columns, because numpy is slow on short rows. A sum that includes a nan
    or an infinite number is not finite.
    """
    total = numbers[:, 0]
    for column in numbers.T[1:]:
        total = total + column
    finite: np.ndarray = np.isfinite(total)
    return finite


def areas(boxes: np.ndarray) -> np.ndarray:
    """Returns (n,) areas; 0 for an inverted box (x1 > x2 or y1 > y2)."""
    return _area(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])


def intersection_areas(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Returns (n,) areas of the intersection of box k of `a` and box k of `b`."""
    return _area(
        np.minimum(a[:, 2], b[:, 2]) - np.maximum(a[:, 0], b[:, 0]),
        np.minimum(a[:, 3], b[:, 3]) - np.maximum(a[:, 1], b[:, 1]),
    )


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Returns (n,) intersection over union of box k of `a` and box k of `b`.

    Equal boxes have an IoU of 1 even if their area is 0.
    `iou([[0, 0, 2, 2]], [[0, 0, 2, 1]]) -> [0.5]`
    """
    shared = intersection_areas(a, b)
    union = areas(a) + areas(b) - shared
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(union > 0, shared / union, 0.0)
    ratio[(a == b).all(axis=1)] = 1.0
    return ratio


def _area(width: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Returns width times height. A negative side counts as 0."""
    area: np.ndarray = np.maximum(width, 0) * np.maximum(height, 0)
    return area
