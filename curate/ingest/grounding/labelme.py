"""LabelMe: a JSON file for each image, with shapes drawn by hand."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import orjson

from curate.ingest.formats.json_elements import object_keys
from curate.ingest.grounding.annotations.file_per_image import FilePerImage, SplitCache
from curate.ingest.grounding.annotations.grounding_records import AnnotatedImage, Annotation
from curate.ingest.images import OpenedImage, keep_image
from curate.ingest.reader import Head
from manifests.errors import FileError, RowError
from manifests.geometry.space import Space
from manifests.storage import File

RINGS = {"polygon": 3, "linestrip": 2, "line": 2}
"""Shapes that are kept as a ring of places, and how many each has at least."""


class LabelMe(FilePerImage):
    """LabelMe JSON: `shapes`, each with a label, a `shape_type` and `points` in pixels.

    A file is a record. Its image is `imagePath` below `media_root`, or named as the file is (a
    path before the name counts for nothing); where there is none, the image in `imageData`,
    whose bytes are kept beside the parts. A rectangle becomes a box, whichever corners it was
    drawn from, a circle the box around it, a mask (of the magic wand) the box that it fills; a
    point is a point, and `points` are one each; a polygon is one ring. A line, open though rings
    are closed, is a ring too: the attribute `shape_type` tells, and for circles `points` and for
    masks `mask` keep what was drawn. `group_id`, `flags`, `description` and the rest are
    attributes. Pixels are of the image as it is shown, as LabelMe shows it, of the size that the
    file tells. All else of the file goes to `meta`. A record's key is the file's name.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".json",)
    keeps_bytes: ClassVar[bool] = True
    own_space: ClassVar[Space] = Space(form="xyxy", unit="pixel")
    most_bytes: ClassVar[int] = 256 << 20  # an image may be inside

    @classmethod
    def sniff(cls, head: Head) -> bool:
        keys = set(object_keys(head.data.lstrip(_BLANKS)))
        return "shapes" in keys and ("imagePath" in keys or b'"shape_type"' in head.data)

    def sample(self, file: File, data: bytes, cache: SplitCache) -> AnnotatedImage:
        said = _parsed(data, file)
        shapes = said.get("shapes")
        if not isinstance(shapes, list):
            raise FileError(f"'shapes' is {shapes!r:.80}, not a list.", file.uri)
        annotations = [
            annotation for n, shape in enumerate(shapes) for annotation in _annotations(shape, n)
        ]
        width, height = said.get("imageWidth"), said.get("imageHeight")
        is_told = isinstance(width, int | float) and isinstance(height, int | float)
        size = (float(width or 0), float(height or 0)) if is_told else None
        rest = {k: v for k, v in said.items() if k not in ("shapes", "imageData")}
        return AnnotatedImage("", self._image(said, file, cache), annotations, size, meta=rest)

    def _image(self, said: dict[str, Any], file: File, cache: SplitCache) -> OpenedImage | RowError:
        path, inside = said.get("imagePath"), said.get("imageData")
        found = self.image(file, path if isinstance(path, str) else None, cache)
        if isinstance(found, OpenedImage) or not isinstance(inside, str):
            return found
        try:
            return keep_image(
                memoryview(base64.b64decode(inside, validate=True)), cache.context, True
            )
        except binascii.Error as error:
            return RowError(f"'imageData' is not base64: {error}")


_NOTHING: tuple[Any, ...] = (None, "", {}, [])
_BLANKS = b"\xef\xbb\xbf \t\r\n"


def _parsed(data: bytes, file: File) -> dict[str, Any]:
    try:
        said = orjson.loads(data.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        raise FileError(f"broken JSON: {error}.", file.uri, "Repair the file.") from None
    if not isinstance(said, dict):
        raise FileError(f"{said!r:.80} is not an object.", file.uri)
    return said


def _annotations(shape: Any, number: int) -> Iterator[Annotation]:
    if not isinstance(shape, dict):
        raise RowError(f"shape {number} is {shape!r:.80}, not an object")
    label, kind = shape.get("label"), shape.get("shape_type") or "polygon"
    if not isinstance(label, str):
        raise RowError(f"the label of shape {number} is {label!r:.80}, not text")
    if not isinstance(kind, str):
        raise RowError(f"the 'shape_type' of shape {number} is {kind!r:.80}, not text")
    spent = ("label", "points", "shape_type")
    rest = {k: v for k, v in shape.items() if k not in spent and v not in _NOTHING}
    try:
        places = _places(shape.get("points"))
        yield from _drawn(kind, places, Annotation(label, attributes=rest | {"shape_type": kind}))
    except RowError as error:
        raise RowError(f"shape {number}, a {kind!r:.40}: {error.fault}") from None


def _drawn(
    kind: str, places: list[Sequence[float]], annotation: Annotation
) -> Iterator[Annotation]:
    """The objects that a shape is."""
    if kind in RINGS and len(places) >= RINGS[kind]:
        yield annotation._replace(polygon=[[number for place in places for number in place]])
    elif kind in ("rectangle", "mask") and len(places) == 2:
        (a, b), (c, d) = places
        yield annotation._replace(box=[min(a, c), min(b, d), max(a, c), max(b, d)])
    elif kind == "circle" and len(places) == 2:
        (x, y), radius = places[0], math.dist(*places)
        drawn = {**(annotation.attributes or {}), "points": places}
        yield annotation._replace(
            box=[x - radius, y - radius, x + radius, y + radius], attributes=drawn
        )  # fmt: skip
    elif kind == "points" or (kind == "point" and len(places) == 1):
        yield from (annotation._replace(point=place) for place in places)
    else:
        raise RowError(f"{len(places)} places, which is no such shape that is known")


def _places(points: Any) -> list[Sequence[float]]:
    if not isinstance(points, list) or not points:
        raise RowError(f"'points' is {points!r:.80}, not a list of places")
    for place in points:
        is_pair = isinstance(place, list) and len(place) == 2
        if not is_pair or not all(isinstance(n, int | float) for n in place):
            raise RowError(f"the place {place!r:.80} is not x and y")
    return points
