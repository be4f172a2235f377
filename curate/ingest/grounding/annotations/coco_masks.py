"""Masks as COCO's run lengths, the form that the attribute `rle` of an object has."""

from __future__ import annotations

from typing import Any

import numpy as np

from manifests.errors import RowError


def to_coco_rle(mask: np.ndarray, corner: tuple[int, int], size: tuple[int, int]) -> dict[str, Any]:
    """The run lengths of a mask (height, width) of bool whose upper left pixel is at `corner` (x,
    y) of an image of `size` (width, height). Raises RowError if the mask is not completely inside
    the image.

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
