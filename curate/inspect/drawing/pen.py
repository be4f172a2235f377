"""Lines, boxes, areas, points and labels in pixels of an image, in sizes that suit it (ours)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from PIL.Image import Image

Colour = tuple[int, int, int]
Place = tuple[float, float]

LONGEST = 40
"""Characters of a label that are shown."""
SHADE, FAINT = 70, 130
"""Of 255: how much a shade and a faint line cover."""
FAR = 4
"""Images' sizes beyond which a line is cut: it may come from the next centimetre to a camera."""


class _Label(NamedTuple):
    place: Place
    text: str
    colour: Colour


class Pen:
    """Draws on an image, in place; labels are written last, where none covers another."""

    def __init__(self, image: Image) -> None:
        from PIL import ImageDraw, ImageFont

        self.size = image.size
        side = min(image.size)
        self.width = max(2, round(side / 240))
        self.radius = max(4, round(side / 90))
        self._draw = ImageDraw.Draw(image, "RGBA")
        self._font = ImageFont.load_default(max(14, round(side / 36)))
        self._labels: list[_Label] = []

    def line(self, start: Place, end: Place, colour: Colour, faint: bool = False) -> None:
        cut = _cut(start, end, self.size)
        if cut is None:
            return
        if faint:
            self._draw.line(cut, (*colour, FAINT), max(1, self.width // 2))
        else:
            self._draw.line(cut, colour, self.width)

    def box(self, first: Place, last: Place, colour: Colour) -> None:
        (x1, x2), (y1, y2) = (sorted(ends) for ends in zip(first, last, strict=True))
        self._draw.rectangle((x1, y1, x2, y2), outline=colour, width=self.width)

    def area(self, places: Sequence[Place], colour: Colour) -> None:
        self.shade(places, colour)
        for start, end in zip(places, [*places[1:], places[0]], strict=True):
            self.line(start, end, colour)

    def shade(self, places: Sequence[Place], colour: Colour) -> None:
        if len(places) > 2:
            self._draw.polygon(list(places), (*colour, SHADE))

    def point(self, place: Place, colour: Colour) -> None:
        ring = self.radius + max(1, self.width // 2)
        self._draw.circle(place, ring, fill="white")
        self._draw.circle(place, self.radius, fill=colour)

    def label(self, place: Place, text: str, colour: Colour) -> None:
        """Have a label written above a place, or as near as there is room."""
        short = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
        self._labels.append(_Label(place, short, colour))

    def write_labels(self) -> None:
        taken: list[tuple[float, float, float, float]] = []
        for place, text, colour in self._labels:
            left, top, right, bottom = self._draw.textbbox((0, 0), text, self._font)
            width, height = right - left + 2 * self.width, bottom - top + 2 * self.width
            x1, y1 = _room(place, (width, height), self.size, taken)
            taken.append((x1, y1, x1 + width, y1 + height))
            self._draw.rectangle(taken[-1], (*colour, 220))
            at = (x1 + self.width - left, y1 + self.width - top)
            self._draw.text(at, text, "black" if _bright(colour) else "white", self._font)
        self._labels.clear()


def _bright(colour: Colour) -> bool:
    """By the luma of Rec. 601."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] > 140


def _room(
    place: Place,
    needed: tuple[float, float],
    size: tuple[int, int],
    taken: Sequence[tuple[float, float, float, float]],
) -> Place:
    """The upper left corner of a label at a place: above it, else ever lower, within the image
    and on no other label; above it where there is no such room."""
    width, height = needed
    x = min(max(place[0], 0), max(size[0] - width, 0))
    lowest = max(size[1] - height, 0)
    wanted = [min(max(place[1] + step * height, 0), lowest) for step in (-1, 0, 1, -2, 2, -3, 3)]
    for y in wanted:
        if not any(
            x < x2 and x1 < x + width and y < y2 and y1 < y + height for x1, y1, x2, y2 in taken
        ):
            return x, y
    return x, wanted[0]


def _cut(start: Place, end: Place, size: tuple[int, int]) -> list[Place] | None:
    """The part of a line not far outside the image (Liang and Barsky 1984); None: no part."""
    first, last = 0.0, 1.0
    for axis in (0, 1):
        along = end[axis] - start[axis]
        for bound, sign in ((-FAR * size[axis], -1), ((1 + FAR) * size[axis], 1)):
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
