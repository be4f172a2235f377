"""Makes annotations from the shapes of CVAT, which are XML elements such as `<box>`."""

from __future__ import annotations

import math
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np

from curate.ingest.formats.xml_files import plain_value
from curate.ingest.grounding.annotations.annotation import Annotation
from curate.ingest.grounding.annotations.coco_masks import to_coco_rle
from curate.ingest.grounding.annotations.fields import without
from curate.ingest.grounding.annotations.object_parts import box_around
from curate.ingest.grounding.annotations.rotated_boxes import ellipse_box, rotated_ring
from manifests.errors import RowError


def plain_annotation(shape: Element, *used: str) -> Annotation:
    """Makes the annotation of a shape, still without coordinates. `used` are the names of the XML
    attributes that have the coordinates; these do not become attributes of the object."""
    attributes = {"shape": shape.tag, **without(attributes_of(shape), "label", *used)}
    return Annotation(shape.get("label"), attributes=attributes)


def attributes_of(element: Element) -> dict[str, Any]:
    """Returns the XML attributes of an element, and the texts of its child elements `<attribute>`
    by name under the key `attributes`."""
    own = {one.get("name", ""): (one.text or "").strip() for one in element.findall("attribute")}
    plain = {name: plain_value(value) for name, value in element.attrib.items()}
    return plain | ({"attributes": own} if own else {})


def _box(shape: Element, size: tuple[int, int]) -> Annotation:
    x1, y1, x2, y2 = box = numbers_of(shape, "xtl", "ytl", "xbr", "ybr")
    plain = plain_annotation(shape, "xtl", "ytl", "xbr", "ybr")
    if "rotation" not in shape.attrib:
        return plain._replace(box=box)
    [degrees] = numbers_of(shape, "rotation")
    ring = rotated_ring(box, degrees, ((x1 + x2) / 2, (y1 + y2) / 2))
    return plain._replace(box=box_around([ring]), polygon=[ring])


def _outline(shape: Element, size: tuple[int, int]) -> Annotation:
    ring = ring_of(shape)
    fewest = 3 if shape.tag == "polygon" else 2
    if len(ring) < 2 * fewest:
        raise RowError(f"the <{shape.tag}> has {len(ring) // 2} points, not {fewest} or more")
    return plain_annotation(shape, "points")._replace(polygon=[ring])


def _ellipse(shape: Element, size: tuple[int, int]) -> Annotation:
    x, y, rx, ry = numbers_of(shape, "cx", "cy", "rx", "ry")
    [degrees] = numbers_of(shape, "rotation") if "rotation" in shape.attrib else [0.0]
    return plain_annotation(shape)._replace(box=ellipse_box((x, y), (rx, ry), degrees))


def _skeleton(shape: Element, size: tuple[int, int]) -> Annotation:
    plain = plain_annotation(shape)
    points = [attributes_of(one) | {"points": ring_of(one)} for one in shape.findall("points")]
    return plain._replace(attributes={**(plain.attributes or {}), "points": points})


def _mask(shape: Element, size: tuple[int, int]) -> Annotation:
    left, top, width, height = map(int, numbers_of(shape, "left", "top", "width", "height"))
    words = shape.get("rle", "").split(",")
    if not all(word.strip().isdecimal() and len(word) < 12 for word in words):
        raise RowError(f"'rle' is {shape.get('rle', '')!r:.40}, not run lengths such as 3,2,4")
    counts = [int(word) for word in words]
    if min(width, height) <= 0:
        raise RowError(
            f"the mask has a size of {width} x {height} pixels, but both sides must be positive"
        )
    if width > size[0] or height > size[1]:
        raise RowError(
            f"the mask is {width} x {height} pixels, but the image is {size[0]} x {size[1]}"
        )
    if sum(counts) != width * height:
        raise RowError(
            f"the run lengths in 'rle' add up to {sum(counts)} pixels, but the mask has "
            f"{width} x {height}"
        )
    inside = np.arange(len(counts)) % 2 == 1
    mask = np.repeat(inside, counts).reshape(height, width)
    plain = plain_annotation(shape, "rle", "left", "top", "width", "height")
    attributes = {**(plain.attributes or {}), "rle": to_coco_rle(mask, (left, top), size)}
    box = [left, top, left + width, top + height]
    return plain._replace(box=box, attributes=attributes)


SHAPES = {
    "box": _box,
    "polygon": _outline,
    "polyline": _outline,
    "ellipse": _ellipse,
    "skeleton": _skeleton,
    "mask": _mask,
}
"""The function that makes the annotation of a shape, by the tag of the shape. `<points>` is
missing, because such a shape may become several annotations."""


def ring_of(shape: Element) -> list[float]:
    """Returns the numbers in the XML attribute `points`, as x y x y ...: `1,2;3,4` -> `[1, 2, 3,
    4]`."""
    text = shape.get("points", "")
    pairs = [pair.split(",") for pair in text.split(";")]
    if not all(len(pair) == 2 for pair in pairs):
        raise RowError(f"'points' is {text!r:.80}, not x,y;x,y;...")
    return [_number(word, "points") for pair in pairs for word in pair]


def numbers_of(element: Element, *names: str) -> list[float]:
    return [_number(element.get(name), name) for name in names]


def _number(text: str | None, name: str) -> float:
    try:
        number = float(text or "")
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise RowError(f"{name!r} is {text!r:.80}, not a number")
    return number
