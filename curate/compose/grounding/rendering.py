"""Objects as the text a model learns to write: numbers are rounded here, and nowhere before.

JSON is laid out as Qwen's models answer (documented: outputs in their cookbooks): in a ```json
fence, an object a line after a tab. `bbox_2d`, `point_2d` and `bbox_3d` are the report's names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Literal, NamedTuple
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from manifests.errors import RowError
from manifests.geometry.angles import QWEN3_ANGLES, Angles, boxes_from_record
from manifests.geometry.smart_resize import QWEN2_5_RESIZE, Resize, smart_resize
from manifests.geometry.space import UNITS

Style = Literal["qwen3", "qwen2.5", "xml", "tags"]
"""qwen3: JSON, thousandths. qwen2.5: JSON, pixels after `smart_resize`. xml: `<points>`, such
pixels too. tags: Qwen-VL's `<ref>` and `<box>`, thousandths."""
What = Literal["boxes", "points", "boxes_3d"]
KEYS = {"boxes": "bbox_2d", "points": "point_2d", "boxes_3d": "bbox_3d"}
COUNTS = {"boxes": 4, "points": 2, "boxes_3d": 9}
PIXELS = ("qwen2.5", "xml")
WRITES: dict[str, tuple[What, ...]] = {
    "qwen3": ("boxes", "points", "boxes_3d"),
    "qwen2.5": ("boxes", "points"),
    "xml": ("points",),
    "tags": ("boxes",),
}
"""What a style has a form for. Absolute pixels say nothing of metres."""
DECIMALS = 2
"""Of metres, and of angles in their unit (ours): centimetres, about two degrees of half turns."""

NOTHING = "There are none in the image."
"""The answer of the styles that have no empty list (ours)."""
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Number = int | float


_encode = json.JSONEncoder(ensure_ascii=False).encode


class Shown(NamedTuple):
    """One object of an answer: what it is called, and its numbers as they are written."""

    label: str | None
    numbers: Sequence[Number]


def thousandths(units: np.ndarray, most: int = 1000) -> np.ndarray:
    """(n, k) int64 of places in [0,1000]: halves to even, then at most `most` (and least 0)."""
    rounded: np.ndarray = np.clip(np.rint(units), 0, most).astype(np.int64)
    return rounded


def pixels(units: np.ndarray, sizes: np.ndarray, how: Resize = QWEN2_5_RESIZE) -> np.ndarray:
    """(n, k) int64 pixels after `smart_resize`, of (n, k) x y x y ... in [0,1000], on images of
    the (n, 2) sizes they are shown in; at most the last pixel (published: process_bbox.ipynb)."""
    seen = np.tile(smart_resize(sizes, how), units.shape[1] // 2)
    rounded: np.ndarray = np.clip(np.rint(units * seen / UNITS), 0, seen - 1).astype(np.int64)
    return rounded


def cuboids(boxes: np.ndarray, angles: Angles = QWEN3_ANGLES) -> list[list[float]]:
    """The nine numbers of each `bbox_3d`, rounded, of (n, 9) as records have them."""
    written = boxes_from_record(boxes, angles).tolist()
    return [[round(number, DECIMALS) + 0.0 for number in box] for box in written]  # no -0.0


def rendered(style: Style, what: What, objects: Sequence[Shown]) -> str:
    """The answer that holds these objects. RowError for a label that the style cannot carry.

    In xml all points of a label stand together; elsewhere objects keep their order.
    """
    if not objects and style in ("tags", "xml"):
        return NOTHING
    if style == "tags":
        return "".join(_tagged(one) for one in objects)
    if style == "xml":
        return "\n".join(_points(label, objects) for label in _labels(objects))
    lines = ",\n".join(f"\t{_json(what, one)}" for one in objects)
    return f"```json\n[\n{lines}\n]\n```" if lines else "```json\n[]\n```"


def _json(what: What, one: Shown) -> str:
    """Written by hand, twice as fast: Python's lists of finite numbers are JSON."""
    label = "" if one.label is None else f', "label": {_encode(one.label)}'
    return f'{{"{KEYS[what]}": {list(one.numbers)}{label}}}'


def _tagged(one: Shown) -> str:
    x1, y1, x2, y2 = one.numbers
    if one.label is None:
        return f"<box>({x1},{y1}),({x2},{y2})</box>"
    if any(mark in one.label for mark in ("<ref>", "</ref>", "<box>", "</box>")):
        raise RowError(f"the label {one.label!r:.80} holds a tag of the style 'tags'")
    return f"<ref>{one.label}</ref><box>({x1},{y1}),({x2},{y2})</box>"


def _labels(objects: Sequence[Shown]) -> list[str | None]:
    return list(dict.fromkeys(one.label for one in objects))


def _points(label: str | None, objects: Sequence[Shown]) -> str:
    """One element for all points of a label, as Qwen2.5-VL's cookbook reads them."""
    name = label or ""
    if _NOT_XML.search(name):
        raise RowError(f"the label {name!r:.80} holds a character that XML has no place for")
    own = [one.numbers for one in objects if one.label == label]
    places = " ".join(f'x{n}="{x}" y{n}="{y}"' for n, (x, y) in enumerate(own, 1))
    return f"<points {places} alt={quoteattr(name)}>{escape(name)}</points>"
