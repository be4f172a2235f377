"""Renders objects as the text of an answer. Numbers are rounded only here.

JSON has the same layout as in the answers of Qwen's models (documented: outputs in their
cookbooks): a ```json fence with one object on each line, after a tab. `bbox_2d`, `point_2d` and
`bbox_3d` are the names in the Qwen3-VL report.
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
"""qwen3: JSON in thousandths of the image. qwen2.5: JSON in pixels after `smart_resize`. xml:
`<points>` in the same pixels. tags: Qwen-VL's `<ref>` and `<box>` in thousandths."""
Geometry = Literal["boxes", "points", "boxes_3d"]
JSON_KEYS = {"boxes": "bbox_2d", "points": "point_2d", "boxes_3d": "bbox_3d"}
NUMBERS = {"boxes": 4, "points": 2, "boxes_3d": 9}
"""The number of coordinates of one box, point or 3D box."""
PIXEL_STYLES = ("qwen2.5", "xml")
STYLE_GEOMETRIES: dict[str, tuple[Geometry, ...]] = {
    "qwen3": ("boxes", "points", "boxes_3d"),
    "qwen2.5": ("boxes", "points"),
    "xml": ("points",),
    "tags": ("boxes",),
}
"""The geometries that each style can render. Styles in pixels cannot render metres."""
DECIMALS_3D = 2
"""The number of decimals of metres and of angles (our choice): two decimals are centimetres, and
about two degrees if the angle is in half turns."""

EMPTY_ANSWER = "There are none in the image."
"""The answer for an image without such objects, in styles that have no empty list (our choice)."""
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Number = int | float


_encode = json.JSONEncoder(ensure_ascii=False).encode


class AnswerObject(NamedTuple):
    """One object of an answer: its label, and its numbers, already rounded."""

    label: str | None
    numbers: Sequence[Number]


def to_thousandths(units: np.ndarray, largest: int = 1000) -> np.ndarray:
    """Rounds coordinates in [0,1000] to integers (half to even), and limits them to 0 .. `largest`:
    (n, k) int64.

    `to_thousandths([[0.5, 1.5, 999.6]], 999) -> [[0, 2, 999]]`
    """
    rounded: np.ndarray = np.clip(np.rint(units), 0, largest).astype(np.int64)
    return rounded


def to_resized_pixels(
    units: np.ndarray, sizes: np.ndarray, how: Resize = QWEN2_5_RESIZE
) -> np.ndarray:
    """Converts (n, k) coordinates x y x y ... in [0,1000] to (n, k) int64 pixels after
    `smart_resize`.

    `sizes` (n, 2) are the widths and heights of the images after their Exif rotation. Pixels are
    rounded, and then limited to 0 .. side - 1 (published: process_bbox.ipynb).
    """
    resized = np.tile(smart_resize(sizes, how), units.shape[1] // 2)
    scaled = np.rint(units * resized / UNITS)
    rounded: np.ndarray = np.clip(scaled, 0, resized - 1).astype(np.int64)
    return rounded


def to_rounded_cuboids(boxes: np.ndarray, angles: Angles = QWEN3_ANGLES) -> list[list[float]]:
    """Converts (n, 9) `box3d` values of records to the nine rounded numbers of each `bbox_3d`."""
    converted = boxes_from_record(boxes, angles).tolist()
    return [[round(number, DECIMALS_3D) + 0.0 for number in box] for box in converted]  # no -0.0


def render_answer(style: Style, geometry: Geometry, objects: Sequence[AnswerObject]) -> str:
    """Returns the text of an answer that has the given objects. Raises RowError for a label that
    the style cannot hold.

    Objects keep their order; in the style xml, all points of a label are in one element. Without
    objects, the answer is an empty list, or EMPTY_ANSWER in the styles tags and xml.
    `render_answer("tags", "boxes", [AnswerObject("cat", (1, 2, 3, 4))])` is
    `<ref>cat</ref><box>(1,2),(3,4)</box>`.
    """
    if not objects and style in ("tags", "xml"):
        return EMPTY_ANSWER
    if style == "tags":
        return "".join(_tagged(one) for one in objects)
    if style == "xml":
        return "\n".join(_points(label, objects) for label in _labels(objects))
    lines = ",\n".join(f"\t{_json(geometry, one)}" for one in objects)
    return f"```json\n[\n{lines}\n]\n```" if lines else "```json\n[]\n```"


def _json(geometry: Geometry, one: AnswerObject) -> str:
    """Returns one object as JSON. The text is built without the module json, which would take twice
    as long; a Python list of finite numbers is valid JSON."""
    label = "" if one.label is None else f', "label": {_encode(one.label)}'
    return f'{{"{JSON_KEYS[geometry]}": {list(one.numbers)}{label}}}'


def _tagged(one: AnswerObject) -> str:
    x1, y1, x2, y2 = one.numbers
    if one.label is None:
        return f"<box>({x1},{y1}),({x2},{y2})</box>"
    if any(mark in one.label for mark in ("<ref>", "</ref>", "<box>", "</box>")):
        raise RowError(
            f"the label {one.label!r:.80} contains a tag of the style 'tags'",
            fix="Change the label, or set another `style`.",
        )
    return f"<ref>{one.label}</ref><box>({x1},{y1}),({x2},{y2})</box>"


def _labels(objects: Sequence[AnswerObject]) -> list[str | None]:
    return list(dict.fromkeys(one.label for one in objects))


def _points(label: str | None, objects: Sequence[AnswerObject]) -> str:
    """Returns one `<points>` element with all points of a label, in the form that Qwen2.5-VL's
    cookbook parses."""
    name = label or ""
    if _NOT_XML.search(name):
        raise RowError(
            f"the label {name!r:.80} contains a character that XML does not allow",
            fix="Change the label, or set another `style`.",
        )
    own = [one.numbers for one in objects if one.label == label]
    coordinates = " ".join(f'x{n}="{x}" y{n}="{y}"' for n, (x, y) in enumerate(own, 1))
    return f"<points {coordinates} alt={quoteattr(name)}>{escape(name)}</points>"
