"""An image with what is annotated on it drawn over it: to be looked at, never to be trained on.

All sizes and colours here are ours; they grow with the image.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from curate.inspect.drawing.pen import Colour, Pen, Place
from manifests.geometry.cuboid import corners
from manifests.geometry.projection import EDGES, FACES, FRONT, project_cuboids
from manifests.geometry.space import UNITS

if TYPE_CHECKING:
    from PIL.Image import Image

LEAST_SIDE, MOST_SIDE = 480, 4096
"""Pixels: the shorter side is enlarged to so many, unless the longer one grew over the other."""
MANY = 40
"""From more objects on, only the first of each label is labelled."""
COLOURS: tuple[Colour, ...] = (
    (240, 50, 70), (60, 190, 75), (255, 225, 25), (40, 140, 255), (250, 130, 40), (190, 80, 240),
    (70, 240, 240), (250, 50, 220), (200, 250, 50), (255, 190, 210), (0, 190, 160),
    (220, 190, 255), (210, 150, 80), (170, 255, 195),
)  # fmt: skip
"""Light enough to be seen on a dark image."""

Thing = dict[str, Any]
"""An object of a record, as a row has it."""


def drawn(image: Image, things: Sequence[Thing], camera: Sequence[float] | None = None) -> Image:
    """The image, which is as it is shown, with boxes, points, polygons and 3D boxes over it.

    `camera` is fx fy cx cy in pixels of this image; without one no 3D box is drawn.
    """
    canvas, times = _canvas(image)
    pen = Pen(canvas)
    palette = colours(named(thing) for thing in things)
    for thing in things:  # below everything else, which their shade would cover
        for ring in thing.get("polygon") or ():
            pen.area(_places(pen, ring), palette[named(thing)])
    labelled: set[str] = set()
    for thing in things:
        name = named(thing)
        at = _on(pen, thing, palette[name])
        if camera is not None and thing.get("box3d") is not None:
            at = _cuboid(pen, thing["box3d"], np.array(camera) * times, palette[name]) or at
        if at is not None and name and (len(things) <= MANY or name not in labelled):
            labelled.add(name)
            pen.label(at, name, palette[name])
    pen.write_labels()
    return canvas


def upright(image: Image, orientation: int) -> Image:
    """An image as it is shown, of one as it is stored, by its Exif orientation (1 to 8)."""
    from PIL.Image import Transpose as T

    turns = {2: T.FLIP_LEFT_RIGHT, 3: T.ROTATE_180, 4: T.FLIP_TOP_BOTTOM, 5: T.TRANSPOSE,
             6: T.ROTATE_270, 7: T.TRANSVERSE, 8: T.ROTATE_90}  # fmt: skip
    return image.transpose(turns[orientation]) if orientation in turns else image


def named(thing: Thing) -> str:
    """What an object is called: its label, or else its text."""
    return str(thing.get("label") or thing.get("text") or "")


def colours(names: Iterable[str]) -> dict[str, Colour]:
    """A colour for each name: the same on every image, unless another has it on this one."""
    found: dict[str, Colour] = {}
    for name in names:
        if name in found:
            continue
        first = zlib.crc32(name.encode())
        ring = [COLOURS[(first + step) % len(COLOURS)] for step in range(len(COLOURS))]
        taken = set(found.values())
        found[name] = next((colour for colour in ring if colour not in taken), ring[0])
    return found


def _canvas(image: Image) -> tuple[Image, float]:
    """A copy to draw on, and how much larger it is."""
    short, long = sorted(image.size)
    times = max(1.0, min(LEAST_SIDE / short, MOST_SIDE / long))
    size = (round(image.width * times), round(image.height * times))
    canvas = image.convert("RGB")
    return (canvas.resize(size) if times > 1 else canvas.copy()), times


def _on(pen: Pen, thing: Thing, colour: Colour) -> Place | None:
    """Draw box and point; where a label of what is in [0,1000] belongs, None if nothing is."""
    rings = [_places(pen, ring) for ring in thing.get("polygon") or () if len(ring)]
    at = min(chain(*rings), key=lambda place: place[1], default=None)
    if thing.get("box") is not None:
        first, last = _places(pen, thing["box"])
        pen.box(first, last, colour)
        at = first
    if thing.get("point") is not None:
        (place,) = _places(pen, thing["point"])
        pen.point(place, colour)
        at = at or (place[0] + pen.radius, place[1])
    return at


def _places(pen: Pen, numbers: Sequence[float]) -> list[Place]:
    width, height = pen.size
    pairs = zip(numbers[::2], numbers[1::2], strict=True)
    return [(x * width / UNITS, y * height / UNITS) for x, y in pairs]


def _cuboid(pen: Pen, box: Sequence[float], camera: np.ndarray, colour: Colour) -> Place | None:
    """Draw the edges, those on hidden faces thin; the front is shaded, or crossed where hidden."""
    seen = project_cuboids(corners(np.array([box])), camera[None])
    faces = seen.facing[0]
    for edge, (start, end) in zip(EDGES, seen.edges[0], strict=True):
        if not np.isnan(start).any():
            faint = faces.any() and not faces[_beside(edge)].any()
            pen.line(_place(start), _place(end), colour, faint)
    front = [_place(start) for start in seen.edges[0, FACES[FRONT], 0]]
    if not seen.cut[0]:
        if faces[FRONT]:
            pen.shade(front, colour)
        else:
            pen.line(front[0], front[2], colour, True)
            pen.line(front[1], front[3], colour, True)
    if np.isnan(seen.boxes[0]).any():
        return None
    return _place(seen.boxes[0, :2])


def _beside(edge: np.ndarray) -> np.ndarray:
    """(6,) bool: the two faces that an edge is between."""
    beside: np.ndarray = (FACES[:, :, None] == edge).any(axis=1).all(axis=1)
    return beside


def _place(pixel: np.ndarray) -> Place:
    return float(pixel[0]), float(pixel[1])
