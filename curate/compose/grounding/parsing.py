"""Objects out of the text a model wrote, or was to learn: the way back of `rendering`."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from curate.compose.grounding.rendering import COUNTS, KEYS
from curate.compose.grounding.tags import FIX, points_at, tag_at
from manifests.errors import RowError
from manifests.geometry.space import UNITS, Space, boxes_to_units, points_to_units

_JSON_MARKS = re.compile("|".join(KEYS.values()))
_MARKS = re.compile(
    rf"{_JSON_MARKS.pattern}|</?(?:box|quad)>|<\|box_(?:start|end)\|>|<points?\s", re.IGNORECASE
)
_STARTS = re.compile(
    r"(?P<json>\[\s*[\[{]|\{\s*[\"'}]|\[\s*\])|(?P<points><points?\s)"
    r"|(?P<tag></?(?:ref|box|quad)>|<\|(?:object_ref|box)_(?:start|end)\|>)"
)
"""Where objects may start: JSON of objects, not a remark in brackets; or an element, or a tag."""


class ParsedObject(NamedTuple):
    """One object of an answer, its numbers as written. `others`: further keys of its JSON."""

    label: str | None = None
    box: tuple[float, ...] | None = None
    point: tuple[float, ...] | None = None
    box3d: tuple[float, ...] | None = None
    others: dict[str, Any] | None = None


def has_markup(text: str) -> bool:
    """Whether a text has the marks of boxes or points in one of the styles."""
    return _MARKS.search(text) is not None


def parse_objects(text: str) -> list[ParsedObject]:
    """All objects of an answer, in order, whatever is written around them.

    Read are JSON with or without a fence, a list or one object; `<ref>` and `<box>` tags, and
    Qwen2-VL's special tokens for them; `<points>` elements. RowError for a text that has their
    marks and is cut off, or broken.
    """
    if not has_markup(text):
        return []
    found: list[ParsedObject] = []
    last_mark = max(text.rfind(key) for key in KEYS.values())
    label, end = None, 0  # of the last tag: a label is that of all boxes right behind it
    while start := _STARTS.search(text, end):
        if text[end : start.start()].strip():
            label = None
        if start["json"]:
            objects, end = _from_json(text, start.start(), last_mark)
            found += objects
        elif start["points"]:
            points, end = points_at(text, start.start())
            found += [ParsedObject(name, point=place) for name, place in points]
        else:
            tag = tag_at(text, start.start())
            end = tag.end
            label = tag.label if tag.box is None else label
            found += [] if tag.box is None else [ParsedObject(label, tag.box)]
    if not found:
        raise RowError(f"no object can be read from {text!r:.80}.", fix=FIX)
    return found


def objects_to_units(
    objects: Sequence[ParsedObject], space: Space, size: tuple[float, float] = (UNITS, UNITS)
) -> list[ParsedObject]:
    """The objects with boxes and points in [0,1000], of an image of a size in pixels as shown.

    RowError for a coordinate outside of the image: over 1000 is no thousandth.
    """
    sizes = np.array([size], np.float64)
    out = []
    for one in objects:
        box = point = None
        if one.box is not None:
            box = tuple(boxes_to_units(np.array([one.box]), sizes, space)[0].tolist())
        if one.point is not None:
            point = tuple(points_to_units(np.array([one.point]), sizes, space)[0].tolist())
        for written, units in ((one.box, box), (one.point, point)):
            if units is not None and not 0 <= min(units) <= max(units) <= UNITS:
                raise RowError(outside_image_error(written or (), space))
        out.append(one._replace(box=box, point=point))
    return out


def outside_image_error(numbers: Sequence[float], space: Space) -> str:
    """The fault of numbers beyond their image."""
    told = ", ".join(f"{number:g}" for number in numbers)
    return f"[{told}] reaches out of its image, as {str(space)!r}"


def _from_json(text: str, start: int, last_mark: int) -> tuple[list[ParsedObject], int]:
    """The objects of the JSON that starts there, and where it ends: what is none, before the last
    mark of objects, is broken."""
    try:
        value, end = _DECODER.raw_decode(text, start)
    except RecursionError:
        raise RowError("JSON of too many levels.", fix=FIX) from None
    except ValueError as error:
        if start < last_mark:
            raise _broken(text, error) from None
        return [], start + 1
    return _objects(value, text[start:end]), end


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_number)


def _broken(text: str, error: ValueError) -> RowError:
    if not isinstance(error, json.JSONDecodeError):
        return RowError(f"{error}.", fix=FIX)
    near = repr(text[max(error.pos - 20, 0) :][:40])
    end = len(text.rstrip().removesuffix("```").rstrip())
    cut = error.pos >= end or error.msg.startswith("Unterminated")
    what = "the answer is cut off" if cut else "not JSON"
    return RowError(f"{what}: {error.msg}, near {near}.", fix=FIX)


def _objects(value: Any, written: str) -> list[ParsedObject]:
    """The objects of one JSON value; none where it is about something else."""
    items = value if isinstance(value, list) else [value]
    known = [isinstance(item, dict) and not item.keys().isdisjoint(KEYS.values()) for item in items]
    if not any(known):
        if _JSON_MARKS.search(written):
            raise RowError(f"no list of objects: {written!r:.80}", fix=FIX)
        return []
    for item, is_known in zip(items, known, strict=True):
        if not is_known:
            raise RowError(f"{item!r:.80} beside objects is none.", fix=FIX)
    return [_object(item) for item in items]


def _object(item: dict[str, Any]) -> ParsedObject:
    others = {name: value for name, value in item.items() if name not in KEYS.values()}
    label = others.pop("label", None)
    if label is not None and not isinstance(label, str):
        raise RowError(f"the label {label!r:.80} is no text.", fix=FIX)
    numbers = {what: _numbers(item[key], what) for what, key in KEYS.items() if key in item}
    return ParsedObject(
        label,
        numbers.get("boxes"),
        numbers.get("points"),
        numbers.get("boxes_3d"),
        others or None,
    )


def _numbers(value: Any, what: str) -> tuple[float, ...]:
    wanted = COUNTS[what]
    if not isinstance(value, list) or len(value) != wanted or not all(map(_is_number, value)):
        raise RowError(f"{KEYS[what]} is {value!r:.80}, not {wanted} numbers.", fix=FIX)
    return tuple(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15
