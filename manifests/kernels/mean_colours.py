"""Reduces a part of an image to a small square of its mean colours."""

from __future__ import annotations

import numpy as np
from numba import float32, float64, types, uint8, void

from manifests.kernels.compiling import compiled, inlined

_PIXELS = types.Array(uint8, 3, "C", readonly=True)


def mean_colours(pixels: np.ndarray, box: tuple[float, ...], side: int) -> np.ndarray:
    """Returns the mean colours of `side` x `side` equal parts of a box, rounded: uint8 (side, side,
    3).

    `pixels`: uint8 (height, width, 3 or more); only the first three channels are read. `box`: left,
    top, right, bottom in pixels. If only a share of a pixel's area is within a part of the box, the
    pixel has this share as its weight in the mean of the part.
    """
    means = np.empty((side, side, 3), np.uint8)
    _mean_colours(pixels, *box, means)
    return means


@inlined
def _add_columns(
    sums: np.ndarray, left: float, width: float, height: float, means: np.ndarray
) -> None:
    """Writes into `means` the mean red, green and blue of a rectangle: the columns `left` to `left`
    + `width` of some rows. `sums` has the sum of these rows for each column; `height` is the number
    of rows, which may be a fraction."""
    right = left + width
    red, green, blue = 0.0, 0.0, 0.0
    for at in range(int(left), min(int(np.ceil(right)), len(sums))):
        share = min(right, at + 1.0) - max(left, float(at))
        red += share * sums[at, 0]
        green += share * sums[at, 1]
        blue += share * sums[at, 2]
    area = width * height
    means[0] = uint8(min(255.0, red / area + 0.5))
    means[1] = uint8(min(255.0, green / area + 0.5))
    means[2] = uint8(min(255.0, blue / area + 0.5))


@compiled(void(_PIXELS, float64, float64, float64, float64, uint8[:, :, ::1]))
def _mean_colours(
    pixels: np.ndarray,
    left: float,
    top: float,
    right: float,
    bottom: float,
    means: np.ndarray,
) -> None:
    side = len(means)
    width, height = (right - left) / side, (bottom - top) / side
    flat = np.empty(pixels.shape[1] * pixels.shape[2], np.float32)
    sums = flat.reshape(pixels.shape[1], pixels.shape[2])
    for row in range(side):
        start, end = top + row * height, top + (row + 1) * height
        flat[:] = 0
        for line in range(int(start), min(int(np.ceil(end)), pixels.shape[0])):
            share = float32(min(end, line + 1.0) - max(start, float(line)))
            levels = pixels[line].reshape(len(flat))
            for at in range(len(flat)):
                flat[at] += share * float32(levels[at])
        for column in range(side):
            _add_columns(sums, left + column * width, width, height, means[row, column])
