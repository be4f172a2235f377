"""LabelMe: a JSON file for each image, with shapes drawn by hand."""

from __future__ import annotations

import base64
import binascii
import codecs
import math
from collections.abc import Hashable, Iterator, Sequence
from itertools import product
from typing import Any, ClassVar

from curate.ingest.formats.json_elements import object_keys
from curate.ingest.grounding.annotations.annotation import AnnotatedImage, Annotation
from curate.ingest.grounding.annotations.fields import number_in, size_in, without
from curate.ingest.grounding.annotations.file_per_image import (
    NO_ANNOTATION,
    FilePerImage,
    SplitCache,
)
from curate.ingest.grounding.annotations.object_parts import box_around, join_parts
from curate.ingest.images import OpenedImage, keep_image
from curate.ingest.reader import Head
from manifests.errors import FileError, MediaError, RowError
from manifests.geometry.space import Space
from manifests.media.header import probe
from manifests.storage import File
from manifests.text.json_values import parse_json

RINGS = {"polygon": 3, "linestrip": 2, "line": 2}
"""Shape types that become a ring, and the smallest number of points of each."""
QUADS = ("rectangle", "rotation", "oriented_rectangle", "quadrilateral")
"""Shape types with four corners: X-AnyLabeling's rectangle, rotated box and quadrilateral, and
LabelMe's rotated box."""
_HEADER_CHARACTERS = 64
"""Number of characters of base64 in which a PNG states its size (its first 24 bytes)."""
_EMPTY: tuple[Any, ...] = (None, "", {}, [])
_BLANKS = codecs.BOM_UTF8 + b" \t\r\n"


class LabelMe(FilePerImage):
    """LabelMe JSON: `shapes`, each with a label, a `shape_type` and `points` in pixels.

        {"imagePath": "a.jpg", "imageWidth": 640, "imageHeight": 480, "shapes": [
          {"label": "dog", "shape_type": "rectangle", "points": [[64, 48], [128, 96]]}]}

    Each file becomes a record. Its image is `imagePath` below `media_root`, or else an image with
    the name of the JSON file; folders in `imagePath` are ignored. If neither image exists, the
    image in `imageData` is used, and its bytes are copied to a file beside the output part.

    A rectangle becomes a box; the rectangle has two corners in any order, or four corners
    (X-AnyLabeling). A rotated box (`rotation`, `oriented_rectangle`) and a `quadrilateral` become a
    ring of four points and the box around the ring. A circle becomes the box around the circle. A
    mask becomes the box from its first to its last pixel. The last pixel is inside the box: points
    100 and 300 are a box from 100 to 301. A shape `point` becomes a point, and each point of a
    shape `points` becomes an object. A polygon or a line becomes one ring, although a line is open.

    Shapes with the same label and the same `group_id` are the parts of one object (as in LabelMe's
    own conversion to COCO). The object has the rings of all parts and the box around all parts. The
    attribute `parts` has, for each part, the attributes that are not the same in all parts.

    The attribute `shape_type` is the type of the shape, `points` has the points of a circle as they
    were drawn, and `mask` is the mask image. `group_id`, `flags`, `description` and the other
    fields of a shape become attributes, unless they are empty. Coordinates are pixels of the image
    after its Exif rotation is applied, at the size that the file records. The other fields of the
    file go to `meta`. A file with a shape of a type that is not supported, such as a cuboid, is
    quarantined.
    """

    version: ClassVar[int] = 3
    suffixes: ClassVar[tuple[str, ...]] = (".json",)
    own_space: ClassVar[Space] = Space(form="xyxy", unit="pixel")
    max_bytes: ClassVar[int] = 256 << 20  # a file may have its image inside

    @classmethod
    def sniff(cls, head: Head) -> bool:
        keys = set(object_keys(head.data.lstrip(_BLANKS)))
        return "shapes" in keys and ("imagePath" in keys or b'"shape_type"' in head.data)

    def parse(self, file: File, data: bytes, cache: SplitCache) -> AnnotatedImage:
        content = _parse_json(data, file)
        shapes = content.get("shapes")
        if not isinstance(shapes, list):
            fault = f"the field 'shapes' is {shapes!r:.80}, not a list."
            raise FileError(fault, file.uri, NO_ANNOTATION)
        annotations = join_parts(one for n, shape in enumerate(shapes) for one in _parts(shape, n))
        size = size_in(content, "imageWidth", "imageHeight")
        image = self._image(content, file, cache)
        meta = without(content, "shapes", "imageData")
        return AnnotatedImage("", image, annotations, size, meta=meta)

    def _image(
        self, content: dict[str, Any], file: File, cache: SplitCache
    ) -> OpenedImage | RowError:
        path, data = content.get("imagePath"), content.get("imageData")
        image = self.find_image(file, path if isinstance(path, str) else None, cache)
        if isinstance(image, OpenedImage) or not isinstance(data, str):
            return image
        try:
            decoded = memoryview(base64.b64decode(data, validate=True))
        except binascii.Error as error:
            return RowError(f"'imageData' is not base64: {error}")
        return keep_image(decoded, cache.context, with_orientation=True)


def _parse_json(data: bytes, file: File) -> dict[str, Any]:
    try:
        content = parse_json(data)
    except RowError as error:
        raise FileError(error.fault, file.uri, error.fix) from None
    if not isinstance(content, dict):
        raise FileError(
            f"the file contains {content!r:.80}, not a JSON object.", file.uri, NO_ANNOTATION
        )
    return content


def _parts(shape: Any, number: int) -> Iterator[tuple[Hashable, Annotation]]:
    """Yields the annotations of a shape, each with the key of its object: (label, `group_id`).
    Shapes with the same key are the parts of one object. The key is None if the shape has no
    `group_id`."""
    if not isinstance(shape, dict):
        raise RowError(f"shape {number} is {shape!r:.80}, not a JSON object")
    label, kind = shape.get("label"), shape.get("shape_type") or "polygon"
    if not isinstance(label, str):
        raise RowError(f"the label of shape {number} is {label!r:.80}, not text")
    if not isinstance(kind, str):
        raise RowError(f"the 'shape_type' of shape {number} is {kind!r:.80}, not text")
    rest = without(shape, "label", "points", "shape_type")
    attributes = {k: v for k, v in rest.items() if v not in _EMPTY} | {"shape_type": kind}
    group = attributes.get("group_id")
    if not isinstance(group, int | float | str | None):
        raise RowError(f"the 'group_id' of shape {number} is {group!r:.80}, not a number or text")
    key = None if group is None else (label, group)
    try:
        points = _points(shape.get("points"))
        for drawn in _drawn(kind, points, Annotation(label, attributes=attributes)):
            yield key, drawn
    except RowError as error:
        raise RowError(f"shape {number}, a {kind!r:.40}: {error.fault}") from None


def _drawn(
    kind: str, points: list[Sequence[float]], annotation: Annotation
) -> Iterator[Annotation]:
    """Yields the annotation with the coordinates of its shape, which has the type `kind`. For the
    shape type `points`, yields one annotation for each point."""
    if kind in RINGS and len(points) >= RINGS[kind]:
        yield annotation._replace(polygon=[[number for point in points for number in point]])
    elif kind in ("rectangle", "mask") and len(points) == 2:
        box = box_around(points)
        yield annotation._replace(box=box if kind == "rectangle" else _mask_box(box, annotation))
    elif kind in QUADS and len(points) == 4:
        ring = [number for point in points for number in point]
        box = box_around([ring])
        is_upright = {*map(tuple, points)} == {*product(box[0::2], box[1::2])}
        yield annotation._replace(box=box, polygon=None if is_upright else [ring])
    elif kind == "circle" and len(points) == 2:
        (x, y), radius = points[0], math.dist(*points)
        attributes = {**(annotation.attributes or {}), "points": points}
        box = [x - radius, y - radius, x + radius, y + radius]
        yield annotation._replace(box=box, attributes=attributes)
    elif kind == "points" or (kind == "point" and len(points) == 1):
        yield from (annotation._replace(point=point) for point in points)
    elif kind in {*RINGS, *QUADS, "mask", "circle", "point"}:
        raise RowError(f"a shape of this type cannot have {len(points)} points")
    else:
        raise RowError("this shape type is not supported")


def _mask_box(box: list[float], annotation: Annotation) -> list[float]:
    """Returns the box x1 y1 x2 y2 around a mask. `box` has the two points of the mask's shape, x y
    x y.

    LabelMe writes the first and the last pixel of the mask as the two points, so 1 is added to x2
    and y2: points (3, 3) and (5, 5) are a mask of 3 x 3 pixels. If the mask image is smaller by one
    pixel in both directions (2 x 2), the points are already the edges of the box, and nothing is
    added. Raises RowError for a mask image of any other size.
    """
    mask = (annotation.attributes or {}).get("mask")
    width, height = box[2] - box[0], box[3] - box[1]
    with_last = [*box[:2], box[2] + 1, box[3] + 1]
    if mask is None:
        return with_last
    if not isinstance(mask, str):
        raise RowError(f"'mask' is {mask!r:.40}, not an image in base64")
    try:
        size = probe(base64.b64decode(mask[:_HEADER_CHARACTERS]))[1:]
    except (ValueError, MediaError):
        raise RowError(f"'mask' is {mask!r:.40}, not an image in base64") from None
    if size == (width + 1, height + 1):
        return with_last
    if size == (width, height):
        return box
    raise RowError(
        f"the mask image has {size[0]} x {size[1]} pixels, but the two points of the mask enclose "
        f"{width + 1:g} x {height + 1:g} pixels"
    )


def _points(points: Any) -> list[Sequence[float]]:
    if not isinstance(points, list) or not points:
        raise RowError(f"'points' is {points!r:.80}, not a list of points")
    for point in points:
        is_pair = isinstance(point, list) and len(point) == 2
        if not is_pair or any(number_in(n) is None for n in point):
            raise RowError(f"the point {point!r:.80} is not two numbers, x and y")
    return points
