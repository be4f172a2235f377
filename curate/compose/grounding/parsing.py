"""Parses objects from text: from an answer of a model, or from an answer that `rendering` made for
training."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from curate.compose.grounding.rendering import JSON_KEYS, NUMBERS
from curate.compose.grounding.tags import FIX, points_at, tag_at
from manifests.errors import RowError
from manifests.geometry.space import UNITS, Space, boxes_to_units, points_to_units

_KEYS = ", ".join(JSON_KEYS.values())
_JSON_KEY = re.compile("|".join(JSON_KEYS.values()))
_MARKUP = re.compile(
    rf"{_JSON_KEY.pattern}|</?(?:box|quad)>|<\|box_(?:start|end)\|>|<points?\s", re.IGNORECASE
)
_STARTS = re.compile(
    r"(?P<json>\[\s*[\[{]|\{\s*[\"'}]|\[\s*\])|(?P<points><points?\s)"
    r"|(?P<tag></?(?:ref|box|quad)>|<\|(?:object_ref|box)_(?:start|end)\|>)"
)
"""Where objects may start: JSON that may hold objects (not a remark in brackets), a `<points>`
element, or a tag."""


class ParsedObject(NamedTuple):
    """One object that was parsed from an answer. Its numbers are the same as in the text. `others`
    has the object's other keys, if the answer is JSON."""

    label: str | None = None
    box: tuple[float, ...] | None = None
    point: tuple[float, ...] | None = None
    box3d: tuple[float, ...] | None = None
    others: dict[str, Any] | None = None
    """The other keys of the object's JSON, and their values."""


def has_markup(text: str) -> bool:
    """Returns whether a text contains a JSON key, tag or element for boxes or points of any
    style."""
    return _MARKUP.search(text) is not None


def parse_objects(text: str) -> list[ParsedObject]:
    """Returns all objects in an answer, in order. Other text is ignored.

    The answer may contain JSON (with or without a fence, a list or one object), `<ref>` and `<box>`
    tags, Qwen2-VL's special tokens for these tags, and `<points>` elements. Raises RowError for a
    text whose markup is cut off or malformed.
    `parse_objects("<ref>cat</ref><box>(1,2),(3,4)</box>")` is `[ParsedObject("cat", (1, 2, 3,
    4))]`.
    """
    if not has_markup(text):
        return []
    found: list[ParsedObject] = []
    last_key = max(text.rfind(key) for key in JSON_KEYS.values())
    label, end = None, 0  # of the last tag: a label is for all boxes directly after it
    while start := _STARTS.search(text, end):
        if text[end : start.start()].strip():
            label = None
        if start["json"]:
            objects, end = _from_json(text, start.start(), last_key)
            found += objects
        elif start["points"]:
            points, end = points_at(text, start.start())
            found += [ParsedObject(name, point=point) for name, point in points]
        else:
            tag = tag_at(text, start.start())
            end = tag.end
            label = tag.label if tag.box is None else label
            found += [] if tag.box is None else [ParsedObject(label, tag.box)]
    if not found:
        raise RowError(
            f"the answer has markup of objects, but no object can be read from {text!r:.80}.",
            fix=FIX,
        )
    return found


def objects_to_units(
    objects: Sequence[ParsedObject], space: Space, size: tuple[float, float] = (UNITS, UNITS)
) -> list[ParsedObject]:
    """Returns the objects, with their boxes and points converted from the coordinates of `space` to
    [0,1000].

    `size` is the width and height of the image in pixels, after its Exif rotation. Raises RowError
    for a coordinate outside the image.
    """
    sizes = np.array([size], np.float64)
    out = []
    for one in objects:
        box = point = None
        if one.box is not None:
            box = tuple(boxes_to_units(np.array([one.box]), sizes, space)[0].tolist())
        if one.point is not None:
            point = tuple(points_to_units(np.array([one.point]), sizes, space)[0].tolist())
        for numbers, units in ((one.box, box), (one.point, point)):
            if units is not None and not 0 <= min(units) <= max(units) <= UNITS:
                raise RowError(outside_image_error(numbers or (), space))
        out.append(one._replace(box=box, point=point))
    return out


def outside_image_error(numbers: Sequence[float], space: Space) -> str:
    """Returns the error text for coordinates (`numbers`) that are outside their image in the
    coordinate space `space`."""
    listed = ", ".join(f"{number:g}" for number in numbers)
    return (
        f"the coordinates [{listed}] are outside the image, in the coordinate space {str(space)!r}"
    )


def _from_json(text: str, start: int, last_key: int) -> tuple[list[ParsedObject], int]:
    """Returns the objects of the JSON value that starts at index `start` of the text, and the index
    where this value ends.

    If the text at `start` is not JSON, there are two cases. If a key such as `bbox_2d` follows
    after `start`, the text is broken JSON, and RowError is raised. Otherwise, returns no objects
    and `start` + 1. `last_key` is the index of the last such key in the text.
    """
    try:
        value, end = _DECODER.raw_decode(text, start)
    except RecursionError:
        raise RowError("the JSON of the answer is nested too deeply.", fix=FIX) from None
    except ValueError as error:
        if start < last_key:
            raise _json_error(text, error) from None
        return [], start + 1
    return _objects(value, text[start:end]), end


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number in JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def _json_error(text: str, error: ValueError) -> RowError:
    if not isinstance(error, json.JSONDecodeError):
        return RowError(f"{error}.", fix=FIX)
    near = repr(text[max(error.pos - 20, 0) :][:40])
    end = len(text.rstrip().removesuffix("```").rstrip())
    cut_off = error.pos >= end or error.msg.startswith("Unterminated")
    fault = "the answer is cut off" if cut_off else "the answer is not JSON"
    return RowError(f"{fault}: {error.msg}, near {near}.", fix=FIX)


def _objects(value: Any, text: str) -> list[ParsedObject]:
    """Returns the boxes and points in a JSON value, which is a dict or a list of dicts. `text` is
    the JSON text.

    A dict is a box or a point if it has a key of `JSON_KEYS`, such as `bbox_2d`. A value without
    any such key gives an empty list. Raises RowError if only some items of a list have such a key,
    if such a key occurs only deeper in the value, and if a box or point is malformed.
    """
    items = value if isinstance(value, list) else [value]
    is_object = [
        isinstance(item, dict) and not item.keys().isdisjoint(JSON_KEYS.values()) for item in items
    ]
    if not any(is_object):
        if _JSON_KEY.search(text):
            raise RowError(
                f"{text!r:.80} is neither a JSON object with one of the keys {_KEYS}, nor a list "
                "of such objects.",
                fix=FIX,
            )
        return []
    for item, known in zip(items, is_object, strict=True):
        if not known:
            raise RowError(
                f"the list has the item {item!r:.80}, which is not a JSON object with one of the "
                f"keys {_KEYS}.",
                fix=FIX,
            )
    return [_object(item) for item in items]


def _object(item: dict[str, Any]) -> ParsedObject:
    others = {name: value for name, value in item.items() if name not in JSON_KEYS.values()}
    label = others.pop("label", None)
    if label is not None and not isinstance(label, str):
        raise RowError(f"the label {label!r:.80} is not text.", fix=FIX)
    numbers = {
        geometry: _numbers(item[key], geometry)
        for geometry, key in JSON_KEYS.items()
        if key in item
    }
    return ParsedObject(
        label,
        numbers.get("boxes"),
        numbers.get("points"),
        numbers.get("boxes_3d"),
        others or None,
    )


def _numbers(value: Any, geometry: str) -> tuple[float, ...]:
    count = NUMBERS[geometry]
    if not isinstance(value, list) or len(value) != count or not all(map(_is_number, value)):
        raise RowError(
            f"the key {JSON_KEYS[geometry]} is {value!r:.80}, not {count} numbers.", fix=FIX
        )
    return tuple(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15
