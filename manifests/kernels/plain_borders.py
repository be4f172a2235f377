"""Finds the plain borders of an image: bars above and below a film, a frame around a photograph."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import float64, int64, types, uint8, void

from manifests.kernels.compiling import compiled, inlined

_TOLERANCE = 16
"""A border is plain if, in each colour channel, its levels differ by at most this number (our
choice: a lower number finds less of the borders of re-encoded copies, a higher number takes dark or
bright parts of photographs for borders)."""
_MIN_SHARE = 0.5
"""An image keeps at least this share of its width and height (our choice). If more is plain, the
image shows an object on a plain ground, and is not a smaller image with a border."""
_MIN_CHANGED = 0.5
"""The second line of pixels inside a border must differ from the border's colours in at least this
share of its pixels (our choice). So the sky above a hill is no border, and neither is the paper
around a text."""
_MAX_RATIO = 2
"""A border is at most this many times as wide as the border at the opposite side, plus one line of
pixels (our choice)."""
_ROUNDS = 3
"""How many borders inside each other are found, such as a black bar inside a white frame (our
choice)."""

_PIXELS = types.Array(uint8, 3, "C", readonly=True)
Box = tuple[float, float, float, float]
"""A box on an image: left, top, right and bottom, in pixels."""


def without_borders(pixels: np.ndarray) -> Box:
    """Returns the box that remains of an image when its plain borders are cut off. It is the box of
    the whole image if the image has no borders, or has only one colour. Borders come in pairs of
    one colour: at the left and right, or above and below.

    `pixels`: uint8 (height, width, 3 or more); only the first three channels are read. A border may
    end within a pixel: then the edge of the box is not a whole number.
    """
    box = np.array([0, 0, pixels.shape[1], pixels.shape[0]], np.int64)
    edges = box.astype(np.float64)
    _cut(np.ascontiguousarray(pixels), box, edges)
    left, top, right, bottom = edges.tolist()
    return left, top, right, bottom


@inlined
def _level(pixels: np.ndarray, side: int, line: int, at: int, channel: int) -> Any:
    """Returns the level (0 to 255) of one colour channel of pixel number `at` in a line of pixels.
    At the left and right side (`side` 0 and 2) the line is the column `line`; at the top and bottom
    side (1 and 3) it is the row `line`."""
    return int64(pixels[at, line, channel] if side % 2 == 0 else pixels[line, at, channel])


@inlined
def _line(box: np.ndarray, side: int, depth: int) -> Any:
    return box[side] + depth if side < 2 else box[side] - 1 - depth


@compiled(int64(_PIXELS, int64[::1], int64, int64[:, ::1]))
def _depth(pixels: np.ndarray, box: np.ndarray, side: int, levels: np.ndarray) -> int:
    """Returns the width of the plain border at one side of the box, in whole lines of pixels.
    `side` is 0 for the left, 1 for the top, 2 for the right, 3 for the bottom. The lowest and the
    highest level of each channel in the border are written into `levels`, (2, 3)."""
    across = 1 - side % 2
    depth, wider = 0, np.empty((2, 3), np.int64)
    levels[0], levels[1] = 255, 0
    for depth in range(box[side % 2 + 2] - box[side % 2]):
        line = _line(box, side, depth)
        wider[:] = levels
        for at in range(box[across], box[across + 2]):
            for channel in range(3):
                level = _level(pixels, side, line, at, channel)
                wider[0, channel] = min(wider[0, channel], level)
                wider[1, channel] = max(wider[1, channel], level)
                if wider[1, channel] - wider[0, channel] > _TOLERANCE:
                    return depth
        levels[:] = wider
    return depth + 1


@compiled(float64(_PIXELS, int64[::1], int64, int64, int64[:, ::1]))
def _mixed_share(
    pixels: np.ndarray, box: np.ndarray, side: int, depth: int, levels: np.ndarray
) -> float:
    """A border may end within a pixel. Returns which part of the width of the first line of pixels
    inside a border still belongs to the border: a number from 0 (nothing) to 1 (the whole line).
    Returns -1 if most pixels of the second line inside the border have the border's colours too:
    then the border is a part of the image and not a border.

    `side`: the side of the box, 0 for the left, 1 for the top, 2 for the right, 3 for the bottom.
    `depth`: the width of the border in whole lines. `levels` (2, 3): the lowest and the highest
    level of each channel in the border. The result is computed from colours: if half of the first
    line belongs to the border, its colours are half as far from the border's colour as the colours
    of the second line.
    """
    across = 1 - side % 2
    start, end = box[across], box[across + 2]
    mixed, behind = _line(box, side, depth), _line(box, side, depth + 1)
    changed, apart, apart_behind = 0, 0.0, 0.0
    for at in range(start, end):
        other = False
        for channel in range(3):
            level = _level(pixels, side, behind, at, channel)
            low, high = levels[0, channel], levels[1, channel]
            other |= level < high - _TOLERANCE or level > low + _TOLERANCE
            middle = (low + high) / 2
            apart += abs(_level(pixels, side, mixed, at, channel) - middle)
            apart_behind += abs(level - middle)
        changed += other
    if changed < _MIN_CHANGED * (end - start):
        return -1.0
    return max(0.0, 1.0 - apart / apart_behind)


@inlined
def _alike(levels: np.ndarray, others: np.ndarray) -> bool:
    """Returns whether two borders have the same colour. `levels` and `others`, (2, 3): the lowest
    and the highest level of each channel in each border."""
    for channel in range(3):
        low = min(levels[0, channel], others[0, channel])
        high = max(levels[1, channel], others[1, channel])
        if high - low > 2 * _TOLERANCE:
            return False
    return True


@compiled(void(_PIXELS, int64[::1], float64[::1]))
def _cut(pixels: np.ndarray, box: np.ndarray, edges: np.ndarray) -> None:
    """Moves the sides of `box` inwards, past the plain borders of the image, in whole pixels.
    Writes the same sides into `edges`, but each side further inwards by the part of the next pixel
    that still belongs to the border."""
    first, last = np.empty((2, 3), np.int64), np.empty((2, 3), np.int64)
    for _ in range(_ROUNDS):
        moved = False
        for axis in range(2):
            depth = _depth(pixels, box, axis, first)
            if depth == 0:
                continue
            other = _depth(pixels, box, axis + 2, last)
            length = box[axis + 2] - box[axis] - depth - other
            if length < max(2, _MIN_SHARE * pixels.shape[1 - axis]):
                continue
            if max(depth, other) > _MAX_RATIO * min(depth, other) + 1 or not _alike(first, last):
                continue
            share = _mixed_share(pixels, box, axis, depth, first)
            other_share = _mixed_share(pixels, box, axis + 2, other, last)
            if share < 0 or other_share < 0:
                continue
            box[axis] += depth
            box[axis + 2] -= other
            edges[axis], edges[axis + 2] = box[axis] + share, box[axis + 2] - other_share
            moved = True
        if not moved:
            return
