"""A coordinate space as a value, and whole columns of numbers from it to [0,1000] and back.

[0,1000] is 1000 times the place on the image as it is shown (Qwen3-VL report, section 3.2.4:
"normalized [0, 1000]"): x to the right, y down, (0, 0) the upper left corner of the image,
(1000, 1000) the lower right one. Boxes are there x1 y1 x2 y2, edges and not pixels.
"""

from __future__ import annotations

from itertools import chain
from typing import Annotated, Any, Literal, get_args

import numpy as np
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)

from manifests.geometry.smart_resize import QWEN2_5_RESIZE, Resize, smart_resize
from manifests.step.spelling import nearest

UNITS = 1000.0

Form = Literal["xyxy", "xywh", "cxcywh", "yxyx", "yxhw"]
Unit = Literal["pixel", "fraction", "percent", "thousandth"]
Index = Literal["edges", "zero", "one"]
Exif = Literal["shown", "stored"]

_TIMES = {"fraction": 1000.0, "percent": 10.0, "thousandth": 1.0}


class Space(BaseModel):
    """What the numbers of a box, a point or a polygon mean.

    A recipe writes it in words, `xywh pixel`, `xyxy pixel one`, or by the name of a known one
    (`coco`, `voc`, `yolo`, `qwen3`, ...), or in full.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    form: Form = Field(
        description="order of a box's numbers: corners, corner and size, or centre and size; "
        "points and polygons are y x where it starts with y"
    )
    unit: Unit = Field(description="pixels, or shares of the image's width and height")
    index: Index = Field(
        "edges",
        description="of pixels: places between them, or their numbers from 0 or from 1, the last "
        "one inside the box",
    )
    resized: Resize | None = Field(
        None, description="pixels are those after `smart_resize` with these settings"
    )
    exif: Exif = Field("shown", description="whether they are on the image as shown, or as stored")

    @model_validator(mode="after")
    def _of_pixels(self) -> Space:
        if self.unit != "pixel" and (self.index != "edges" or self.resized is not None):
            raise ValueError(f"index and resized are of pixels, not of {self.unit}s")
        return self

    @property
    def y_first(self) -> bool:
        return self.form.startswith("y")

    def __str__(self) -> str:
        words: list[str] = [self.form, self.unit]
        words += [self.index] if self.index != "edges" else []
        words += [f"resized to multiples of {self.resized.factor}"] if self.resized else []
        return " ".join([*words, *(["stored"] if self.exif == "stored" else [])])


SPACES = {
    "coco": Space(form="xywh", unit="pixel"),
    "voc": Space(form="xyxy", unit="pixel", index="one"),
    "yolo": Space(form="cxcywh", unit="fraction"),
    "fraction": Space(form="xyxy", unit="fraction"),
    "percent": Space(form="xyxy", unit="percent"),
    "qwen2": Space(form="xyxy", unit="thousandth"),
    "qwen2.5": Space(form="xyxy", unit="pixel", resized=QWEN2_5_RESIZE),
    "qwen3": Space(form="xyxy", unit="thousandth"),
    "gemini": Space(form="yxyx", unit="thousandth"),
    "aitw": Space(form="yxhw", unit="fraction"),
}
"""Spaces by the names of where they are met. Those of COCO, VOC's devkit, YOLO, the Qwen models
(notebook process_bbox, and the reports), AITW and Gemini's API are documented by their makers."""


def _parse_space(value: Any) -> Any:
    """A space in words as the model takes it."""
    if not isinstance(value, str):
        return value
    if value in SPACES:
        return SPACES[value]
    kinds: dict[str, Any] = {"form": Form, "unit": Unit, "index": Index, "exif": Exif}
    known = {name: list(get_args(kind)) for name, kind in kinds.items()}
    said: dict[str, str] = {}
    for word in value.split():
        name = next((name for name, words in known.items() if word in words), None)
        if name is None or name in said:
            every = [*SPACES, *chain.from_iterable(known.values())]
            raise ValueError(f"{value!r} is no space: {word!r}. {nearest(word, every)}")
        said[name] = word
    return said


SpaceSetting = Annotated[
    Space,
    BeforeValidator(_parse_space),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "object"}]}),
]
"""A setting of a recipe that is a space."""


def boxes_to_units(boxes: np.ndarray, sizes: np.ndarray, space: Space) -> np.ndarray:
    """(n, 4) float64 x1 y1 x2 y2 in [0,1000], of (n, 4) boxes of a space.

    `sizes` (n, 2): width and height of each box's image, as the space has it (shown or stored).
    Nothing is clipped, and nothing put in order.
    """
    found = np.asarray(boxes, np.float64)
    a, b = (found[:, [1, 0]], found[:, [3, 2]]) if space.y_first else (found[:, :2], found[:, 2:])
    if space.form in ("xywh", "yxhw"):
        first, last = a, a + b
        inclusive = 0.0  # a width counts pixels, whatever the first is numbered
    elif space.form == "cxcywh":
        first, last, inclusive = a - b / 2, a + b / 2, 0.0
    else:
        first, last, inclusive = a, b, 1.0
    if space.index != "edges":
        start = 1.0 if space.index == "one" else 0.0
        first, last = first - start, last - start + inclusive
    times = _times(sizes, space)
    with np.errstate(over="ignore"):  # what is infinite is in no way on the image
        return np.concatenate([first * times, last * times], axis=1)


def boxes_from_units(units: np.ndarray, sizes: np.ndarray, space: Space) -> np.ndarray:
    """(n, 4) float64 in a space, of (n, 4) boxes in [0,1000]: the way back, not rounded."""
    times = _times(sizes, space)
    first, last = units[:, :2] / times, units[:, 2:] / times
    if space.index != "edges":
        start = 1.0 if space.index == "one" else 0.0
        inclusive = 1.0 if space.form in ("xyxy", "yxyx") else 0.0
        first, last = first + start, last + start - inclusive
    if space.form in ("xywh", "yxhw"):
        a, b = first, last - first
    elif space.form == "cxcywh":
        a, b = (first + last) / 2, last - first
    else:
        a, b = first, last
    pairs = (a[:, ::-1], b[:, ::-1]) if space.y_first else (a, b)
    return np.concatenate(pairs, axis=1)


def points_to_units(points: np.ndarray, sizes: np.ndarray, space: Space) -> np.ndarray:
    """(n, 2) float64 x y in [0,1000], of (n, 2) points: the centre of a pixel where it is named."""
    found = np.asarray(points, np.float64)
    found = found[:, ::-1] if space.y_first else found
    with np.errstate(over="ignore"):  # what is infinite is in no way on the image
        moved: np.ndarray = (found + _half(space)) * _times(sizes, space)
    return moved


def points_from_units(units: np.ndarray, sizes: np.ndarray, space: Space) -> np.ndarray:
    """(n, 2) float64 in a space, of (n, 2) points in [0,1000]."""
    found: np.ndarray = units / _times(sizes, space) - _half(space)
    return found[:, ::-1] if space.y_first else found


def _half(space: Space) -> float:
    """From a pixel's number to its centre."""
    return {"edges": 0.0, "zero": 0.5, "one": -0.5}[space.index]


def _times(sizes: np.ndarray, space: Space) -> np.ndarray:
    """(n, 2) or a number: thousandths of the image in one of the space's units."""
    if space.unit != "pixel":
        return np.array([_TIMES[space.unit]])
    seen = np.asarray(sizes, np.float64)
    if space.resized is not None:
        seen = smart_resize(seen, space.resized).astype(np.float64)
    return UNITS / seen
