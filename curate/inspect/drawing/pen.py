"""Draws lines, boxes, areas, points and labels, with widths that suit the image (our choice)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from PIL.Image import Image

Colour = tuple[int, int, int]
Point = tuple[float, float]
"""A point x, y in pixels."""

MAX_LABEL_CHARACTERS = 40
"""A longer label is shortened to this many characters (our choice)."""
SHADE, FAINT = 70, 130
"""The opacity of a shaded area and of a faint line, from 0 to 255 (our choice)."""
MARGIN = 4
"""The distance from the image beyond which a line is not drawn, as a multiple of the image's size
(our choice). An edge of a 3D box near the camera can end millions of pixels away."""


class _Label(NamedTuple):
    point: Point
    text: str
    colour: Colour


class Pen:
    """Draws on an image, in place. Labels are drawn last (`write_labels`), at places where they do
    not cover each other."""

    def __init__(self, image: Image) -> None:
        from PIL import ImageDraw, ImageFont

        self.size = image.size
        side = min(image.size)
        self.width = max(2, round(side / 240))
        self.radius = max(4, round(side / 90))
        self._draw = ImageDraw.Draw(image, "RGBA")
        self._font = ImageFont.load_default(max(14, round(side / 36)))
        self._labels: list[_Label] = []

    def line(self, start: Point, end: Point, colour: Colour, faint: bool = False) -> None:
        cut = _cut_line(start, end, self.size)
        if cut is None:
            return
        if faint:
            self._draw.line(cut, (*colour, FAINT), max(1, self.width // 2))
        else:
            self._draw.line(cut, colour, self.width)

    def box(self, first: Point, last: Point, colour: Colour) -> None:
        (x1, x2), (y1, y2) = (sorted(ends) for ends in zip(first, last, strict=True))
        self._draw.rectangle((x1, y1, x2, y2), outline=colour, width=self.width)

    def area(self, points: Sequence[Point], colour: Colour) -> None:
        self.shade(points, colour)
        for start, end in zip(points, [*points[1:], points[0]], strict=True):
            self.line(start, end, colour)

    def shade(self, points: Sequence[Point], colour: Colour) -> None:
        if len(points) > 2:
            self._draw.polygon(list(points), (*colour, SHADE))

    def point(self, point: Point, colour: Colour) -> None:
        ring = self.radius + max(1, self.width // 2)
        self._draw.circle(point, ring, fill="white")
        self._draw.circle(point, self.radius, fill=colour)

    def label(self, point: Point, text: str, colour: Colour) -> None:
        """Add a label, which `write_labels` draws later. Its position is above the point or, if
        there is no space, at the nearest free height."""
        short = (
            text if len(text) <= MAX_LABEL_CHARACTERS else text[: MAX_LABEL_CHARACTERS - 1] + "…"
        )
        self._labels.append(_Label(point, short, colour))

    def write_labels(self) -> None:
        taken: list[tuple[float, float, float, float]] = []
        for point, text, colour in self._labels:
            left, top, right, bottom = self._draw.textbbox((0, 0), text, self._font)
            width, height = right - left + 2 * self.width, bottom - top + 2 * self.width
            x1, y1 = _free_position(point, (width, height), self.size, taken)
            taken.append((x1, y1, x1 + width, y1 + height))
            self._draw.rectangle(taken[-1], (*colour, 220))
            at = (x1 + self.width - left, y1 + self.width - top)
            self._draw.text(at, text, "black" if _bright(colour) else "white", self._font)
        self._labels.clear()


def _bright(colour: Colour) -> bool:
    """Whether black text is easier to read than white on a colour, judged by its luma (Rec.
    601)."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > 140


def _free_position(
    point: Point,
    needed: tuple[float, float],
    size: tuple[int, int],
    taken: Sequence[tuple[float, float, float, float]],
) -> Point:
    """Return the upper left corner at which to draw a label near a point. `needed` is the width and
    height of the label, and `size` is the width and height of the image.

    The label is inside the image and overlaps none of the `taken` rectangles: it is above the point
    if possible, otherwise at the next free height. If no height is free, it is above the point.
    """
    width, height = needed
    x = min(max(point[0], 0), max(size[0] - width, 0))
    lowest = max(size[1] - height, 0)
    wanted = [min(max(point[1] + step * height, 0), lowest) for step in (-1, 0, 1, -2, 2, -3, 3)]
    for y in wanted:
        if not any(
            x < x2 and x1 < x + width and y < y2 and y1 < y + height for x1, y1, x2, y2 in taken
        ):
            return x, y
    return x, wanted[0]


def _cut_line(start: Point, end: Point, size: tuple[int, int]) -> list[Point] | None:
    """Return the ends of the part of a line that is on the image or near it (Liang and Barsky
    1984); None if there is no such part. A point is near the image if its distance is at most
    `MARGIN` times the image's size."""
    first, last = 0.0, 1.0
    for axis in (0, 1):
        along = end[axis] - start[axis]
        for bound, sign in ((-MARGIN * size[axis], -1), ((1 + MARGIN) * size[axis], 1)):
            room = sign * (bound - start[axis])
            if along == 0:
                if room < 0:
                    return None
            elif sign * along > 0:
                last = min(last, room / (sign * along))
            else:
                first = max(first, room / (sign * along))
    if first >= last:
        return None
    x, y = end[0] - start[0], end[1] - start[1]
    return [(start[0] + share * x, start[1] + share * y) for share in (first, last)]
