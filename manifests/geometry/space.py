"""Coordinate spaces: what the numbers of an annotation mean. Converts whole columns to the
coordinates of records and back.

A record has coordinates in [0,1000], called units here: x and y as thousandths of the width and
height of the image as it is shown (Qwen3-VL report, section 3.2.4: "normalized [0, 1000]"). x runs
to the right and y down; (0, 0) is the upper left corner of the image, (1000, 1000) the lower right
corner. Boxes are x1 y1 x2 y2. Coordinates are positions of edges, not numbers of pixels.
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

_UNITS_PER = {"fraction": 1000.0, "percent": 10.0, "thousandth": 1.0}


class Space(BaseModel):
    """The meaning of the numbers of a box, a point or a polygon.

    A recipe gives a space as words, `xywh pixel` or `xyxy pixel one`; as the name of a known space
    (`coco`, `voc`, `yolo`, `qwen3`, ...); or as a mapping of these settings.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    form: Form = Field(
        description="order of a box's numbers: two corners, corner and size, or centre and size; "
        "a form that starts with y also means that points and polygons are y x"
    )
    unit: Unit = Field(description="pixels, or shares of the image's width and height")
    index: Index = Field(
        "edges",
        description="meaning of pixel coordinates: positions between pixels (edges), or numbers "
        "of pixels that count from zero or one and include the last pixel",
    )
    resized: Resize | None = Field(
        None, description="pixels are pixels of the image after `smart_resize` with these settings"
    )
    exif: Exif = Field(
        "shown", description="coordinates are on the image as shown, or as stored, before Exif"
    )

    @model_validator(mode="after")
    def _pixel_settings_need_pixels(self) -> Space:
        if self.unit != "pixel" and (self.index != "edges" or self.resized is not None):
            raise ValueError(
                "index and resized are only for coordinates in pixels, but the unit is "
                f"{self.unit}: remove them, or set unit: pixel"
            )
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
"""Coordinate spaces that a recipe can name, such as `coco`. Each is the space of a data set or a
model. COCO, VOC's devkit, YOLO, the Qwen models (notebook process_bbox, and the reports), AITW and
Gemini's API are documented by their makers."""


def _parse_space(value: Any) -> Any:
    """Converts a space that a recipe gives as words to a mapping of settings. Any other value is
    returned unchanged.

    `"xywh pixel" -> {"form": "xywh", "unit": "pixel"}`
    """
    if not isinstance(value, str):
        return value
    if value in SPACES:
        return SPACES[value]
    settings: dict[str, Any] = {"form": Form, "unit": Unit, "index": Index, "exif": Exif}
    words_of = {name: list(get_args(kind)) for name, kind in settings.items()}
    parsed: dict[str, str] = {}
    for word in value.split():
        name = next((name for name, words in words_of.items() if word in words), None)
        fault = f"{value!r} is not a coordinate space:"
        if name is None and word in SPACES:
            raise ValueError(f"{fault} {word!r} is the name of a whole space. Write it alone")
        if name is None:
            known = [*SPACES, *chain.from_iterable(words_of.values())]
            raise ValueError(f"{fault} the word {word!r} is unknown. {nearest(word, known)}")
        if name in parsed:
            raise ValueError(
                f"{fault} {parsed[name]!r} and {word!r} both state the {name}. Remove one of them"
            )
        parsed[name] = word
    return parsed


SpaceSetting = Annotated[
    Space,
    BeforeValidator(_parse_space),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "object"}]}),
]
"""The type of a setting that is a space: a recipe may give it as words."""


def boxes_to_units(boxes: np.ndarray, sizes: np.ndarray, space: Space) -> np.ndarray:
    """Returns (n, 4) float64 x1 y1 x2 y2 in [0,1000], from (n, 4) boxes in `space`.

    `sizes` (n, 2) are the width and height of each box's image: of the image as shown if
    `space.exif` is "shown", of the image as stored if it is "stored". Nothing is clipped, and an
    inverted box stays inverted.

    `boxes_to_units([[64, 48, 64, 48]], [[640, 480]], SPACES["coco"]) -> [[100, 100, 200, 200]]`
    """
    numbers = np.asarray(boxes, np.float64)
    a, b = numbers[:, :2], numbers[:, 2:]
    if space.y_first:
        a, b = a[:, ::-1], b[:, ::-1]
    with np.errstate(over="ignore"):  # an infinite coordinate is reported later: it is outside
        if space.form in ("xywh", "yxhw"):
            first, last = a, a + b
            inclusive = 0.0  # a width is a number of pixels and does not depend on their numbering
        elif space.form == "cxcywh":
            first, last, inclusive = a - b / 2, a + b / 2, 0.0
        else:
            first, last, inclusive = a, b, 1.0
        if space.index != "edges":
            start = 1.0 if space.index == "one" else 0.0
            first, last = first - start, last - start + inclusive
        factor = _units_per_number(sizes, space)
        return np.concatenate([first * factor, last * factor], axis=1)


def boxes_from_units(units: np.ndarray, sizes: np.ndarray, space: Space) -> np.ndarray:
    """Returns (n, 4) float64 boxes in `space`, not rounded, from (n, 4) x1 y1 x2 y2 in [0,1000].

    `boxes_from_units([[100, 100, 200, 200]], [[640, 480]], SPACES["coco"]) -> [[64, 48, 64, 48]]`
    """
    factor = _units_per_number(sizes, space)
    first, last = units[:, :2] / factor, units[:, 2:] / factor
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
    """Returns (n, 2) float64 x y in [0,1000], from (n, 2) points in `space`. `sizes` (n, 2) are the
    width and height of each point's image, as shown or as stored, as `space.exif` states.

    If a coordinate in `space` is the number of a pixel, counted from 0 or 1, the point is at the
    centre of this pixel.
    """
    numbers = np.asarray(points, np.float64)
    numbers = numbers[:, ::-1] if space.y_first else numbers
    with np.errstate(over="ignore"):  # an infinite coordinate is reported later: it is outside
        units: np.ndarray = (numbers + _to_centre(space)) * _units_per_number(sizes, space)
    return units


def points_from_units(units: np.ndarray, sizes: np.ndarray, space: Space) -> np.ndarray:
    """Returns (n, 2) float64 points in `space`, not rounded, from (n, 2) x y in [0,1000]. `sizes`
    (n, 2) are the width and height of each point's image, as shown or as stored, as `space.exif`
    states."""
    points: np.ndarray = units / _units_per_number(sizes, space) - _to_centre(space)
    return points[:, ::-1] if space.y_first else points


def _to_centre(space: Space) -> float:
    """Returns the number to add to a coordinate in `space` to get the position on the image. A
    pixel's position is its centre, so the number is 0.5 if pixels are numbered from 0, and -0.5 if
    they are numbered from 1. It is 0 if the coordinates are positions already."""
    return {"edges": 0.0, "zero": 0.5, "one": -0.5}[space.index]


def _units_per_number(sizes: np.ndarray, space: Space) -> np.ndarray:
    """Returns the factors that convert coordinates in `space` to [0,1000]: one factor, or (n, 2)
    factors if the unit is pixels, because they then depend on the `sizes` of the n images."""
    if space.unit != "pixel":
        return np.array([_UNITS_PER[space.unit]])
    pixels = np.asarray(sizes, np.float64)
    if space.resized is not None:
        pixels = smart_resize(pixels, space.resized).astype(np.float64)
    return UNITS / pixels
