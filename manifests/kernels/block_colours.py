"""Reduces an image to the mean colours of its blocks of pixels."""

from __future__ import annotations

import numpy as np
from numba import int64, types, uint8, uint16, uint64, void

from manifests.kernels.compiling import compiled, inlined

_PIXELS = types.Array(uint8, 2, "C", readonly=True)
_MOST_ROWS = 256
"""The number of rows of an image whose bytes are added up in 16-bit numbers. They cannot overflow
with up to 257 rows, because 257 * 255 = 2^16 - 1."""


def block_colours(pixels: np.ndarray, block: tuple[int, int]) -> np.ndarray:
    """Returns the mean colour of each block of an image, rounded: uint8 (rows, columns, 4), with
    the bytes red, green, blue and 0.

    `pixels`: uint8 (height, width, 4); each pixel has the bytes red, green, blue and one that is
    not read. `block`: width and height of a block in pixels; blocks at the right and lower edges
    may be smaller. Example: 5 x 4 pixels in blocks of (2, 4) -> shape (1, 3, 4).
    """
    height, width = pixels.shape[:2]
    means = np.zeros((-(-height // block[1]), -(-width // block[0]), 4), np.uint8)
    _block_colours(pixels.reshape(height, 4 * width), block[0], block[1], means)
    return means


@inlined
def _add_four(a, b, c, d, sums):  # type: ignore[no-untyped-def]
    for i in range(len(sums)):
        sums[i] = uint16(sums[i] + uint16(a[i]) + uint16(b[i]) + uint16(c[i]) + uint16(d[i]))


@inlined
def _add_rows(pixels, first, end, sums):  # type: ignore[no-untyped-def]
    """Writes into `sums` the sum of every column of bytes over the rows `first` to `end` - 1. Four
    rows are added at a time, so that the sums are loaded and stored less often."""
    sums[:] = 0
    row = first
    while row + 4 <= end:
        _add_four(pixels[row], pixels[row + 1], pixels[row + 2], pixels[row + 3], sums)
        row += 4
    while row < end:
        for i in range(len(sums)):
            sums[i] = uint16(sums[i] + uint16(pixels[row, i]))
        row += 1


@inlined
def _colours(sums, first, end):  # type: ignore[no-untyped-def]
    """Returns the total red, green and blue of the columns `first` to `end` - 1 of an image. `sums`
    has 4 numbers for each column: its sums of red, green, blue and an unused byte."""
    red, green, blue = uint64(0), uint64(0), uint64(0)
    for x in range(first, end):
        red += uint64(sums[4 * x])
        green += uint64(sums[4 * x + 1])
        blue += uint64(sums[4 * x + 2])
    return red, green, blue


@compiled(void(_PIXELS, int64, int64, uint8[:, :, ::1]))
def _block_colours(pixels, block_width, block_height, means):  # type: ignore[no-untyped-def]
    height, width = pixels.shape[0], pixels.shape[1] // 4
    sums, total = np.empty(pixels.shape[1], np.uint16), np.empty((means.shape[1], 3))
    for row in range(means.shape[0]):
        top, bottom = row * block_height, min(height, (row + 1) * block_height)
        total[:] = 0
        for first in range(top, bottom, _MOST_ROWS):
            _add_rows(pixels, first, min(bottom, first + _MOST_ROWS), sums)
            for column in range(len(total)):
                left, right = column * block_width, min(width, (column + 1) * block_width)
                red, green, blue = _colours(sums, left, right)
                total[column, 0] += red
                total[column, 1] += green
                total[column, 2] += blue
        for column in range(len(total)):
            right = min(width, (column + 1) * block_width)
            share = 1.0 / ((bottom - top) * (right - column * block_width))
            for channel in range(3):
                means[row, column, channel] = uint8(total[column, channel] * share + 0.5)
