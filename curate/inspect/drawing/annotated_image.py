"""Draws the annotations of an image on the image, for people to check; never for training.

All sizes and colours in this module are our choice. Sizes are proportional to the image.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from curate.inspect.drawing.pen import Colour, Pen, Point
from manifests.geometry.cuboid import corners
from manifests.geometry.exif_orientation import pixels_as_shown
from manifests.geometry.projection import EDGES, FACES, FRONT, project_cuboids
from manifests.geometry.space import UNITS

if TYPE_CHECKING:
    from PIL.Image import Image

MIN_SIDE, MAX_SIDE = 480, 4096
"""Limits in pixels for drawing: a small image is enlarged until its shorter side is MIN_SIDE, or
until its longer side is MAX_SIDE (our choice)."""
MAX_LABELLED = 40
"""If an image has at most this many objects, each object is labelled. If it has more, each label is
drawn only once, at the first object that has it (our choice)."""
COLOURS: tuple[Colour, ...] = (
    (240, 50, 70), (60, 190, 75), (255, 225, 25), (40, 140, 255), (250, 130, 40), (190, 80, 240),
    (70, 240, 240), (250, 50, 220), (200, 250, 50), (255, 190, 210), (0, 190, 160),
    (220, 190, 255), (210, 150, 80), (170, 255, 195),
)  # fmt: skip
"""Colours that are bright enough to be visible on a dark image."""

RecordObject = dict[str, Any]
"""An object of a record, as the dict in the record's row."""


def draw_objects(
    image: Image, objects: Sequence[RecordObject], camera: Sequence[float] | None = None
) -> Image:
    """Return a copy of an upright image with boxes, points, polygons and 3D boxes drawn on it.

    `camera` is fx fy cx cy, in pixels of this image; without a camera, no 3D box is drawn.
    """
    canvas, scale = _canvas(image)
    pen = Pen(canvas)
    palette = colours_by_name(object_name(one) for one in objects)
    for one in objects:  # polygons first, so that their shading covers no other shape
        for ring in one.get("polygon") or ():
            pen.area(_points(pen, ring), palette[object_name(one)])
    labelled: set[str] = set()
    for one in objects:
        name = object_name(one)
        at = _draw_box_and_point(pen, one, palette[name])
        if camera is not None and one.get("box3d") is not None:
            at = _draw_cuboid(pen, one["box3d"], np.array(camera) * scale, palette[name]) or at
        if at is not None and name and (len(objects) <= MAX_LABELLED or name not in labelled):
            labelled.add(name)
            pen.label(at, name, palette[name])
    pen.write_labels()
    return canvas


def image_as_shown(image: Image, orientation: int) -> Image:
    """Return the upright image, made from the stored image and its Exif orientation (1 to 8)."""
    if orientation == 1:
        return image
    from PIL import Image as images

    pixels = np.asarray(image.convert("RGB"))
    return images.fromarray(pixels_as_shown(pixels, orientation))


def object_name(one: RecordObject) -> str:
    """Return the name by which an object is drawn: its label; if it has none, its text; if it has
    neither, ""."""
    return str(one.get("label") or one.get("text") or "")


def colours_by_name(names: Iterable[str]) -> dict[str, Colour]:
    """Choose a colour for each name by a hash of the name; if that colour is taken, use the next
    free one.

    So a name has the same colour on every image, unless an earlier name on the image has taken it.
    """
    found: dict[str, Colour] = {}
    for name in names:
        if name in found:
            continue
        first = zlib.crc32(name.encode())
        preferred = [COLOURS[(first + step) % len(COLOURS)] for step in range(len(COLOURS))]
        taken = set(found.values())
        found[name] = next((c for c in preferred if c not in taken), preferred[0])
    return found


def _canvas(image: Image) -> tuple[Image, float]:
    """Return a copy to draw on, enlarged if the image is small, and the factor of the
    enlargement."""
    short, long = sorted(image.size)
    scale = max(1.0, min(MIN_SIDE / short, MAX_SIDE / long))
    size = (round(image.width * scale), round(image.height * scale))
    canvas = image.convert("RGB")
    return (canvas.resize(size) if scale > 1 else canvas.copy()), scale


def _draw_box_and_point(pen: Pen, one: RecordObject, colour: Colour) -> Point | None:
    """Draw the box and the point of an object, if it has them. Return the position for the label,
    or None if the object has neither box, point nor polygon."""
    rings = [_points(pen, ring) for ring in one.get("polygon") or () if len(ring)]
    at = min(chain(*rings), key=lambda point: point[1], default=None)
    if one.get("box") is not None:
        first, last = _points(pen, one["box"])
        pen.box(first, last, colour)
        at = first
    if one.get("point") is not None:
        (point,) = _points(pen, one["point"])
        pen.point(point, colour)
        at = at or (point[0] + pen.radius, point[1])
    return at


def _points(pen: Pen, numbers: Sequence[float]) -> list[Point]:
    """Convert coordinates x y x y ... in [0,1000] to points in pixels of the canvas."""
    width, height = pen.size
    pairs = zip(numbers[::2], numbers[1::2], strict=True)
    return [(x * width / UNITS, y * height / UNITS) for x, y in pairs]


def _draw_cuboid(
    pen: Pen, box: Sequence[float], camera: np.ndarray, colour: Colour
) -> Point | None:
    """Draw the edges of a 3D box. Return the position for the label, or None if the box is behind
    the camera.

    An edge is thin if both its faces are hidden. The front face is shaded, or crossed out if it is
    hidden.
    """
    projection = project_cuboids(corners(np.array([box])), camera[None])
    facing = projection.facing[0]
    for edge, (start, end) in zip(EDGES, projection.edges[0], strict=True):
        if not np.isnan(start).any():
            faint = facing.any() and not facing[_faces_at(edge)].any()
            pen.line(_point(start), _point(end), colour, faint)
    front = [_point(start) for start in projection.edges[0, FACES[FRONT], 0]]
    if not projection.cut[0]:
        if facing[FRONT]:
            pen.shade(front, colour)
        else:
            pen.line(front[0], front[2], colour, True)
            pen.line(front[1], front[3], colour, True)
    if np.isnan(projection.boxes[0]).any():
        return None
    return _point(projection.boxes[0, :2])


def _faces_at(edge: np.ndarray) -> np.ndarray:
    """Return a mask (6,) of the faces of a 3D box: true for the two faces that meet at an edge. The
    edge is given by its two corners."""
    faces: np.ndarray = (FACES[:, :, None] == edge).any(axis=1).all(axis=1)
    return faces


def _point(pixel: np.ndarray) -> Point:
    return float(pixel[0]), float(pixel[1])
