"""Objects out of tags and elements: `<ref>`, `<box>` and Qwen2-VL's tokens for them, `<points>`."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import NamedTuple

from manifests.errors import RowError

FIX = "Fix the answer, or leave it in quarantine."
_NUMBER = r"\s*(-?\d{1,15}(?:\.\d{1,15})?)\s*"
_BOX = re.compile(rf"\s*\({_NUMBER},{_NUMBER}\)\s*,\s*\({_NUMBER},{_NUMBER}\)\s*")
_TAG = re.compile(
    r"<ref>(?P<ref>[^<]*(?:<(?!/?(?:ref|box)>)[^<]*)*)</ref>|<box>(?P<box>[^<]*)</box>"
    r"|<\|object_ref_start\|>(?P<ref2>[^<]*(?:<(?!\|)[^<]*)*)<\|object_ref_end\|>"
    r"|<\|box_start\|>(?P<box2>[^<]*)<\|box_end\|>"
)
_POINTS = re.compile(r"<points\s(?:[^<>\"']|\"[^\"]*\"|'[^']*')*>[^<]*</points>")

Labelled = tuple[str | None, tuple[float, ...]]
"""The label of a point, and its x y."""


class Tag(NamedTuple):
    """What one tag says, its label or its box, and where it ends."""

    label: str | None
    box: tuple[float, ...] | None
    end: int


def tag_at(text: str, at: int) -> Tag:
    """The tag that starts there. RowError for one that is not whole."""
    tag = _TAG.match(text, at)
    if tag is None:
        raise RowError(f"cut off, or no tag that is known: {text[at : at + 40]!r}.", fix=FIX)
    box = tag["box"] if tag["box"] is not None else tag["box2"]
    if box is not None:
        return Tag(None, _corners(box), tag.end())
    return Tag(tag["ref"] if tag["ref"] is not None else tag["ref2"], None, tag.end())


def _corners(written: str) -> tuple[float, ...]:
    numbers = _BOX.fullmatch(written)
    if numbers is None:
        raise RowError(f"{written!r:.80} is no box: (x1,y1),(x2,y2).", fix=FIX)
    return tuple(_written(number) for number in numbers.groups())


def points_at(text: str, at: int) -> tuple[list[Labelled], int]:
    """The points of the element that starts there, and where it ends. RowError as `tag_at`."""
    element = _POINTS.match(text, at)
    if element is None:
        told = text[at : at + 40]
        raise RowError(f"cut off, or no <points x1= y1= ...>: {told!r}.", fix=FIX)
    return list(_of_element(element[0])), element.end()


def _of_element(element: str) -> Iterator[Labelled]:
    try:
        read = ET.fromstring(element)
    except ET.ParseError as error:
        raise RowError(f"{element!r:.80} is not XML: {error}.", fix=FIX) from None
    places = {n: v for n, v in read.attrib.items() if re.fullmatch(r"[xy]\d+", n)}
    label = read.attrib.get("alt") or read.text or None
    for number in range(1, len(places) // 2 + 1):
        pair = [places.get(f"{axis}{number}", "") for axis in "xy"]
        if len(places) % 2 or not all(re.fullmatch(_NUMBER, one) for one in pair):
            raise RowError(f"{element!r:.80} is no pairs x1= y1= x2= y2= ...", fix=FIX)
        yield label, tuple(_written(one) for one in pair)


def _written(number: str) -> float:
    return float(number) if "." in number else int(number)
