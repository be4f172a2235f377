"""Makes annotations from the results of a Label Studio annotation. A region, such as a box, has one
or more results: its shape, its label, a text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from curate.ingest.grounding.annotations.annotation import Annotation
from curate.ingest.grounding.annotations.brush_masks import brush_mask
from curate.ingest.grounding.annotations.coco_masks import to_coco_rle
from curate.ingest.grounding.annotations.fields import number_in, without
from curate.ingest.grounding.annotations.object_parts import box_around
from curate.ingest.grounding.annotations.rotated_boxes import ellipse_box, rotated_ring
from manifests.errors import RowError

Result = dict[str, Any]
"""One entry of `result`: its `type`, its `value`, and the `id` of its region."""
PLAIN = ("choices", "textarea", "number", "rating", "taxonomy", "datetime")
"""Types of results that describe the complete image, or add to the region with the same id."""
_USED = ("value", "original_width", "original_height", "image_rotation", "to_name", "type", "id")


class Size(NamedTuple):
    """The size in pixels of the image on which a region was drawn."""

    width: int
    height: int

    def to_percent(self, numbers: Sequence[float]) -> list[float]:
        """Converts x y x y ... in pixels to percent of the image."""
        sides = (self.width, self.height)
        return [100 * number / sides[at % 2] for at, number in enumerate(numbers)]

    def to_pixels(self, numbers: Sequence[float]) -> list[float]:
        sides = (self.width, self.height)
        return [number / 100 * sides[at % 2] for at, number in enumerate(numbers)]


GetSize = Callable[[], Size]
"""A function that returns the size of the image, or raises RowError if the size is not known."""


def group_results(results: Any) -> list[list[Result]]:
    """Groups Label Studio's results by the id of their region, in file order. A result without an
    id is a group of its own. Raises RowError if `results` is not a list of results."""
    if not isinstance(results, list) or not all(
        isinstance(one, dict) and isinstance(one.get("type"), str) for one in results
    ):
        raise RowError(f"'result' is {results!r:.80}, not a list of objects with a `type`")
    groups: dict[Any, list[Result]] = {}
    for number, one in enumerate(results):
        key = one.get("id")
        groups.setdefault(key if isinstance(key, str) else number, []).append(one)
    return list(groups.values())


def is_plain(results: Sequence[Result]) -> bool:
    """Whether results of Label Studio are about the whole image and not about a region of it."""
    return all(one["type"] in PLAIN for one in results)


def region(results: Sequence[Result], size: GetSize) -> Annotation:
    """Makes an annotation from the results of one region. `size` returns the size of the image,
    which only some shapes need. Raises RowError if the region is malformed or of a type that is not
    supported."""
    shapes = [one for one in results if one["type"].removesuffix("labels") in _SHAPES]
    others = [one["type"] for one in results if one not in shapes]
    unknown = [kind for kind in others if kind not in (*PLAIN, "labels")]
    if len(shapes) > 1:
        fault = f"{len(shapes)} shapes have the id {shapes[0].get('id')!r:.80}."
        raise RowError(fault, fix="Give each region its own id.")
    if unknown or not shapes:
        kinds = ", ".join(unknown or [one["type"] for one in results])
        raise RowError(
            f"a region of the type {kinds} is not supported.",
            fix=f"Draw the region as one of {', '.join(_SHAPES)}, or leave it in quarantine.",
        )
    [shape] = shapes
    if shape.get("image_rotation"):
        raise RowError(
            f"the region was drawn on the image rotated by {shape['image_rotation']} degrees, "
            "which is not supported.",
            fix="Rotate the image file, and annotate it again.",
        )
    kind, value = shape["type"].removesuffix("labels"), _value(shape)
    drawn = _SHAPES[kind](value, size)
    texts = [text for one in results if one["type"] == "textarea" for text in texts_of(one)]
    own_text = ("textarea",) if len(texts) == 1 else ()
    plain = values_by_name(r for r in results if r["type"] in PLAIN and r["type"] not in own_text)
    own = {
        "type": shape["type"],
        **({"results": plain} if plain else {}),
        **(drawn.attributes or {}),
    }
    text = texts[0] if len(texts) == 1 else None
    attributes = _united(
        own, without(value, shape["type"], *_COORDINATES[kind]), without(shape, *_USED)
    )
    return drawn._replace(label=_label(results), text=text, attributes=attributes)


def texts_of(result: Result) -> list[str]:
    """Returns the texts of a result of the type `textarea`, which has one text or a list of
    texts."""
    given = _value(result).get("text")
    texts: list[Any] = given if isinstance(given, list) else [given]
    if not all(isinstance(text, str) for text in texts):
        raise RowError(
            f"the text of {_name(result)!r:.80} is {given!r:.80}, not text or a list of texts"
        )
    return texts


def values_by_name(results: Iterable[Result]) -> dict[str, Any]:
    """Returns the value of each result by its `from_name`. If several results have the same
    `from_name`, the value is the list of their values."""
    found: dict[str, list[Any]] = {}
    for one in results:
        found.setdefault(_name(one), []).append(_plain(one))
    return {name: some[0] if len(some) == 1 else some for name, some in found.items()}


def _united(*fields: Mapping[str, Any]) -> dict[str, Any]:
    """Joins several dicts of fields to one dict. Raises RowError if a field has different values in
    two of the dicts."""
    united: dict[str, Any] = {}
    for name, value in (item for some in fields for item in some.items()):
        if united.setdefault(name, value) != value:
            raise RowError(
                f"the attribute {name!r:.80} has two values, {united[name]!r:.80} and "
                f"{value!r:.80}, but it can have only one"
            )
    return united


def _plain(result: Result) -> Any:
    return _value(result).get("text" if result["type"] == "textarea" else result["type"])


def _name(result: Result) -> str:
    return str(result.get("from_name") or result["type"])


def _value(result: Result) -> dict[str, Any]:
    value = result.get("value")
    if not isinstance(value, dict):
        raise RowError(f"the 'value' of a result is {value!r:.80}, not a JSON object")
    return value


def _label(results: Sequence[Result]) -> str | None:
    """Returns the label of a region; None if the region has no label. Raises RowError if the region
    has several labels."""
    labels: list[Any] = []
    for one in results:
        if one["type"].endswith("labels"):
            given = _value(one).get(one["type"])
            labels += given if isinstance(given, list) else [given] if given is not None else []
    if not all(isinstance(label, str) for label in labels):
        raise RowError(f"the labels of the region are {labels!r:.80}, not texts")
    if len(set(labels)) > 1:
        raise RowError(
            f"the region has the labels {', '.join(map(repr, labels))}, but an object can have "
            "only one label.",
            fix="Remove all labels except one.",
        )
    return labels[0] if labels else None


def _rectangle(value: Mapping[str, Any], size: GetSize) -> Annotation:
    x, y, width, height = _numbers(value, "x", "y", "width", "height")
    box = [x, y, x + width, y + height]
    degrees = _rotation(value)
    if not degrees:
        return Annotation(box=box)
    image = size()
    pixels = image.to_pixels(box)
    ring = image.to_percent(rotated_ring(pixels, degrees, (pixels[0], pixels[1])))
    return Annotation(box=box_around([ring]), polygon=[ring])


def _polygon(value: Mapping[str, Any], size: GetSize) -> Annotation:
    points = value.get("points")
    is_ring = isinstance(points, list) and len(points) >= 3
    if not is_ring or not all(isinstance(one, list) and len(one) == 2 for one in points or ()):
        raise RowError(f"'points' is {points!r:.80}, not three or more points x y")
    return Annotation(polygon=[[number for point in points or () for number in point]])


def _ellipse(value: Mapping[str, Any], size: GetSize) -> Annotation:
    x, y, rx, ry = _numbers(value, "x", "y", "radiusX", "radiusY")
    degrees = _rotation(value)
    if not degrees:
        return Annotation(box=[x - rx, y - ry, x + rx, y + ry])
    image = size()
    x, y, rx, ry = image.to_pixels([x, y, rx, ry])
    return Annotation(box=image.to_percent(ellipse_box((x, y), (rx, ry), degrees)))


def _keypoint(value: Mapping[str, Any], size: GetSize) -> Annotation:
    return Annotation(point=_numbers(value, "x", "y"))


def _brush(value: Mapping[str, Any], size: GetSize) -> Annotation:
    if value.get("format") != "rle" or "rle" not in value:
        raise RowError(f"a mask of the format {value.get('format')!r:.40} is not supported")
    image = size()
    mask = brush_mask(value["rle"], image)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        raise RowError("the mask is empty: it has no pixel")
    left, top, right, bottom = (int(n) for n in (columns[0], rows[0], columns[-1], rows[-1]))
    inside = mask[top : bottom + 1, left : right + 1]
    box = image.to_percent([left, top, right + 1, bottom + 1])
    return Annotation(box=box, attributes={"rle": to_coco_rle(inside, (left, top), image)})


_SHAPES: dict[str, Callable[[Mapping[str, Any], GetSize], Annotation]] = {
    "rectangle": _rectangle,
    "polygon": _polygon,
    "ellipse": _ellipse,
    "keypoint": _keypoint,
    "brush": _brush,
}
_COORDINATES = {
    "rectangle": ("x", "y", "width", "height"),
    "polygon": ("points",),
    "ellipse": (),
    "keypoint": ("x", "y"),
    "brush": ("rle", "format"),
}
"""For each shape, the fields of a result's value from which the coordinates are made. All other
fields become attributes."""


def _rotation(value: Mapping[str, Any]) -> float:
    [degrees] = _numbers(value, "rotation") if value.get("rotation") is not None else [0.0]
    return degrees % 360


def _numbers(value: Mapping[str, Any], *names: str) -> list[float]:
    numbers = [number_in(value.get(name)) for name in names]
    for name, number in zip(names, numbers, strict=True):
        if number is None:
            raise RowError(f"{name!r} is {value.get(name)!r:.80}, not a number")
    return [number for number in numbers if number is not None]
