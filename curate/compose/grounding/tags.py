"""Parses objects from tags: `<ref>` and `<box>`, Qwen2-VL's tokens for them, and `<points>`."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import NamedTuple

from manifests.errors import RowError

FIX = "Correct the answer, or leave it in quarantine."
_NUMBER = r"\s*(-?\d{1,15}(?:\.\d{1,15})?)\s*"
_BOX = re.compile(rf"\s*\({_NUMBER},{_NUMBER}\)\s*,\s*\({_NUMBER},{_NUMBER}\)\s*")
_TAG = re.compile(
    r"<ref>(?P<ref>[^<]*(?:<(?!/?(?:ref|box)>)[^<]*)*)</ref>|<box>(?P<box>[^<]*)</box>"
    r"|<\|object_ref_start\|>(?P<ref2>[^<]*(?:<(?!\|)[^<]*)*)<\|object_ref_end\|>"
    r"|<\|box_start\|>(?P<box2>[^<]*)<\|box_end\|>"
)
_POINTS = re.compile(r"<points\s(?:[^<>\"']|\"[^\"]*\"|'[^']*')*>[^<]*</points>")

LabelledPoint = tuple[str | None, tuple[float, ...]]
"""The label of a point, and its coordinates x, y."""


class Tag(NamedTuple):
    """A parsed tag, which has a label or a box, and the index in the text where the tag ends."""

    label: str | None
    box: tuple[float, ...] | None
    end: int


def tag_at(text: str, at: int) -> Tag:
    """Returns the tag that starts at an index of the text. Raises RowError for a tag that is cut
    off or not known, and for a malformed box.

    `tag_at("<box>(1,2),(3,4)</box>", 0) -> Tag(None, (1, 2, 3, 4), 22)`
    """
    tag = _TAG.match(text, at)
    if tag is None:
        raise RowError(f"a tag is cut off or not known: {text[at : at + 40]!r}.", fix=FIX)
    box = tag["box"] if tag["box"] is not None else tag["box2"]
    if box is not None:
        return Tag(None, _corners(box), tag.end())
    return Tag(tag["ref"] if tag["ref"] is not None else tag["ref2"], None, tag.end())


def _corners(text: str) -> tuple[float, ...]:
    numbers = _BOX.fullmatch(text)
    if numbers is None:
        raise RowError(f"{text!r:.80} is not a box of the form (x1,y1),(x2,y2).", fix=FIX)
    return tuple(_number(number) for number in numbers.groups())


def points_at(text: str, at: int) -> tuple[list[LabelledPoint], int]:
    """Returns the points of the `<points>` element that starts at an index, and the index where the
    element ends.

    Raises RowError for an element that is cut off or malformed.
    `<points x1="1" y1="2" alt="cat">cat</points>` has the points `[("cat", (1, 2))]`.
    """
    element = _POINTS.match(text, at)
    if element is None:
        start = text[at : at + 40]
        raise RowError(f"<points x1= y1= ...> is cut off or malformed: {start!r}.", fix=FIX)
    return list(_points(element[0])), element.end()


def _points(element: str) -> Iterator[LabelledPoint]:
    try:
        parsed = ET.fromstring(element)
    except ET.ParseError as error:
        raise RowError(f"{element!r:.80} is not XML: {error}.", fix=FIX) from None
    coordinates = {n: v for n, v in parsed.attrib.items() if re.fullmatch(r"[xy]\d+", n)}
    label = parsed.attrib.get("alt") or parsed.text or None
    for number in range(1, len(coordinates) // 2 + 1):
        pair = [coordinates.get(f"{axis}{number}", "") for axis in "xy"]
        if len(coordinates) % 2 or not all(re.fullmatch(_NUMBER, one) for one in pair):
            raise RowError(
                f"{element!r:.80} must have pairs of numbers x1= y1= x2= y2= ...", fix=FIX
            )
        yield label, tuple(_number(one) for one in pair)


def _number(text: str) -> float:
    return float(text) if "." in text else int(text)
