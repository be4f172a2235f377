"""Converts rotated boxes to polygons, and finds the boxes around rotated ellipses."""

from __future__ import annotations

import math
from collections.abc import Sequence


def rotated_ring(box: Sequence[float], degrees: float, pivot: tuple[float, float]) -> list[float]:
    """Rotates a box x1 y1 x2 y2 in pixels clockwise around the point `pivot`. Returns its four
    corners as a ring x y x y ....

    `rotated_ring([0, 0, 4, 2], 90, (0, 0)) -> [0, 0, 0, 4, -2, 4, -2, 0]`
    """
    x1, y1, x2, y2 = box
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    ring = []
    for x, y in ((x1, y1), (x2, y1), (x2, y2), (x1, y2)):
        dx, dy = x - pivot[0], y - pivot[1]
        ring += [pivot[0] + dx * cosine - dy * sine, pivot[1] + dx * sine + dy * cosine]
    return ring


def ellipse_box(
    centre: tuple[float, float], radii: tuple[float, float], degrees: float
) -> list[float]:
    """Returns the box x1 y1 x2 y2 around an ellipse in pixels that is rotated clockwise around its
    centre.

    `ellipse_box((5, 5), (3, 1), 90) -> [4, 2, 6, 8]`
    """
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    width = math.hypot(radii[0] * cosine, radii[1] * sine)
    height = math.hypot(radii[0] * sine, radii[1] * cosine)
    return [centre[0] - width, centre[1] - height, centre[0] + width, centre[1] + height]
