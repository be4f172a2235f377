"""Converts masks to COCO's run lengths, which are stored in the attribute `rle` of an object."""

from __future__ import annotations

from typing import Any

import numpy as np

from manifests.errors import RowError


def to_coco_rle(mask: np.ndarray, corner: tuple[int, int], size: tuple[int, int]) -> dict[str, Any]:
    """Converts a mask, an array of bool of shape (height, width), to COCO's run lengths for an
    image of `size` (width, height). `corner` is the position (x, y) in the image of the mask's
    upper left pixel. Raises RowError if the mask is not completely inside the image.

    `to_coco_rle([[True]], (1, 0), (2, 2)) -> {"size": [2, 2], "counts": [2, 1, 1]}`
    """
    (left, top), (width, height) = corner, size
    rows, columns = mask.shape
    if left < 0 or top < 0 or left + columns > width or top + rows > height:
        raise RowError(
            f"the mask of {columns} x {rows} pixels at {left}, {top} is not inside the image of "
            f"{width} x {height}"
        )
    window = np.zeros((columns, height), np.int8)
    window[:, top : top + rows] = mask.T
    edges = np.flatnonzero(np.diff(window.ravel(), prepend=0, append=0)) + left * height
    counts = np.diff([0, *edges.tolist(), width * height]).tolist()
    return {"size": [height, width], "counts": counts if counts[-1] else counts[:-1]}
