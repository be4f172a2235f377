"""Resizes an image to small squares: one of luma and one of colours."""

from __future__ import annotations

import numpy as np
from numba import boolean, float64, int64, types, uint8, void

from manifests.kernels.compiling import compiled, inlined

_PIXELS = types.Array(uint8, 3, "C", readonly=True)
_RED, _GREEN, _BLUE = 0.299, 0.587, 0.114
"""The weights of red, green and blue in luma (ITU-R BT.601)."""

Box = tuple[float, float, float, float]
"""A part of an image: left, top, right and bottom, in pixels."""


def luma_square(pixels: np.ndarray, box: Box, side: int) -> np.ndarray:
    """Returns the luma of a part of an image, resized to a square: uint8 (side, side).

    `pixels`: uint8 (height, width, 4); each pixel has the bytes red, green, blue and one that is
    not read. `box`: the part of the image. The part is divided into side x side equal rectangles;
    each value is a weighted mean of the pixels around the centre of one of them. The weight of a
    pixel falls linearly with its distance from this centre, as in the filter that Pillow calls
    bilinear.
    """
    square = np.empty((side, side))
    _luma_square(pixels, np.array(box, np.float64), square)
    return (square + 0.5).astype(np.uint8)


def colour_square(pixels: np.ndarray, box: Box, side: int) -> np.ndarray:
    """Returns the colours of a part of an image, resized to a square: uint8 (side, side, 3).

    `pixels`: uint8 (height, width, 4); each pixel has the bytes red, green, blue and one that is
    not read. `box`: the part of the image. The part is divided into side x side equal rectangles;
    each value is the mean of the pixels in one of them. A pixel that is partly in a rectangle
    counts by the share of the pixel that is inside.
    """
    square = np.empty((3, side, side))
    _colour_square(pixels, np.array(box, np.float64), square)
    return np.ascontiguousarray((square + 0.5).astype(np.uint8).transpose(1, 2, 0))


@inlined
def _weights(low, high, length, is_linear, starts, counts):  # type: ignore[no-untyped-def]
    """Returns the weights for resizing the part from `low` to `high` of a line of `length` pixels.
    Pixel i of the resized line is a weighted mean of counts[i] pixels of the line, from pixel
    starts[i] on; `weights[i, n]` is the weight of pixel starts[i] + n. The weights of each i add up
    to 1. The function writes `starts` and `counts`.

    If `is_linear` is true, the weight of a pixel of the line falls linearly with its distance from
    the middle of pixel i. Otherwise the weight is the share of this pixel (0 to 1) that lies inside
    pixel i of the resized line.
    """
    scale = (high - low) / len(starts)
    reach = max(scale, 1.0) if is_linear else scale / 2
    weights = np.zeros((len(starts), int64(2 * reach) + 3))
    for place in range(len(starts)):
        middle = low + (place + 0.5) * scale
        start = max(0, int64(np.floor(middle - reach)))
        end = min(length, int64(np.ceil(middle + reach)))
        total = 0.0
        for pixel in range(start, end):
            if is_linear:
                weight = 1.0 - abs(pixel + 0.5 - middle) / reach
            else:
                weight = min(pixel + 1.0, middle + reach) - max(float64(pixel), middle - reach)
            weights[place, pixel - start] = max(0.0, weight)
            total += max(0.0, weight)
        weights[place] /= total
        starts[place], counts[place] = start, end - start
    return weights


@compiled(void(float64[:, ::1], float64[::1], boolean, float64[:, ::1]))
def _resize(plane, box, is_linear, square):  # type: ignore[no-untyped-def]
    """Resizes the part `box` of one channel of an image (`plane`) to a square, and writes the
    square into `square`. The columns are resized first, with vector instructions, then the rows.
    Each pixel of the square is a weighted mean of pixels of the channel. If `is_linear` is true,
    the weight of a pixel falls linearly with its distance from the middle of the pixel of the
    square. Otherwise the weight is the share of the pixel that lies inside the pixel of the
    square."""
    side = len(square)
    starts, counts = np.empty(side, np.int64), np.empty(side, np.int64)
    weights = _weights(box[1], box[3], plane.shape[0], is_linear, starts, counts)
    low = np.zeros((side, plane.shape[1]))
    for place in range(side):
        for n in range(counts[place]):
            weight, row = weights[place, n], starts[place] + n
            for column in range(plane.shape[1]):
                low[place, column] += weight * plane[row, column]
    weights = _weights(box[0], box[2], plane.shape[1], is_linear, starts, counts)
    for row in range(side):
        for place in range(side):
            total = 0.0
            for n in range(counts[place]):
                total += weights[place, n] * low[row, starts[place] + n]
            square[row, place] = total


@compiled(void(_PIXELS, float64[::1], float64[:, ::1]))
def _luma_square(pixels, box, square):  # type: ignore[no-untyped-def]
    luma = np.empty(pixels.shape[:2])
    for row in range(luma.shape[0]):
        for column in range(luma.shape[1]):
            luma[row, column] = (
                _RED * pixels[row, column, 0]
                + _GREEN * pixels[row, column, 1]
                + _BLUE * pixels[row, column, 2]
            )
    _resize(luma, box, True, square)


@compiled(void(_PIXELS, float64[::1], float64[:, :, ::1]))
def _colour_square(pixels, box, squares):  # type: ignore[no-untyped-def]
    plane = np.empty(pixels.shape[:2])
    for channel in range(3):
        for row in range(plane.shape[0]):
            for column in range(plane.shape[1]):
                plane[row, column] = pixels[row, column, channel]
        _resize(plane, box, False, squares[channel])
