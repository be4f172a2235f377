"""Parses the boxes or points of a reply, strictly: a reply is either good or has a named fault."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from typing import Any, Literal, NamedTuple

from manifests.step import Reply
from recaption.checks import fault_of
from recaption.json_replies import WrongReplyError, json_value
from recaption.locate.spaces import Size

What = Literal["boxes", "points"]
KEYS: dict[What, tuple[str, int]] = {"boxes": ("bbox_2d", 4), "points": ("point_2d", 2)}
"""The key of an object's coordinates in a reply, and how many numbers it has (published: the
cookbooks of Qwen2.5-VL and Qwen3-VL)."""
NOT_A_LIST, NOT_AN_OBJECT = "not a list", "not an object"
NO_COORDINATES, UNKNOWN_LABEL = "no coordinates", "unknown label"
OUTSIDE, INVERTED, REPETITION = "outside the image", "inverted box", "repetition"
MAX_EQUAL = 4
"""A reply with more equal boxes of one label repeats itself (our choice). Fewer are counted, and
one of them is kept."""


class Located(NamedTuple):
    """An object of a reply: the name that was asked for, None if a description was, and its
    coordinates in the space of the reply."""

    name: str | None
    numbers: tuple[float, ...]


class Wanted(NamedTuple):
    """What a reply may hold: boxes or points of these names (of anything, if there are none), with
    coordinates up to `size`, and outside of it by at most `slack`."""

    what: What
    names: tuple[str, ...]
    size: Size
    slack: float


def parse_reply(reply: Reply, wanted: Wanted) -> list[Located] | str:
    """Returns the objects of a reply, in its order; or its fault, a short and fixed phrase."""
    if fault := fault_of(reply):
        return fault
    try:
        value = json_value(reply.text)
    except WrongReplyError as error:
        return str(error)
    if not isinstance(value, list):
        return NOT_A_LIST
    names = {plain(name): name for name in wanted.names}
    found = []
    for item in value:
        one = _located(item, wanted, names)
        if isinstance(one, str):
            return one
        found.append(one)
    most = max(Counter(found).values(), default=0)
    return REPETITION if most > MAX_EQUAL else found


def plain(name: str) -> str:
    """Returns a name as it is compared: in Unicode's form NFKC, without case and extra spaces."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def _located(item: Any, wanted: Wanted, names: dict[str, str]) -> Located | str:
    if not isinstance(item, dict):
        return NOT_AN_OBJECT
    key, count = KEYS[wanted.what]
    numbers = item.get(key)
    if not isinstance(numbers, list) or len(numbers) != count or not all(map(_is_number, numbers)):
        return NO_COORDINATES
    label = item.get("label")
    name = names.get(plain(label)) if isinstance(label, str) else None
    if names and name is None:
        return UNKNOWN_LABEL
    return _fault_of_numbers(numbers, wanted) or Located(name, tuple(map(float, numbers)))


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return -1e15 < value < 1e15 and math.isfinite(value)


def _fault_of_numbers(numbers: list[float], wanted: Wanted) -> str | None:
    sides = wanted.size * (len(numbers) // 2)
    inside = (
        -wanted.slack <= number <= side + wanted.slack
        for number, side in zip(numbers, sides, strict=True)
    )
    if not all(inside):
        return OUTSIDE
    first, last = numbers[:2], numbers[2:]
    is_box = all(
        max(a, 0) < min(b, side) for a, b, side in zip(first, last, wanted.size, strict=False)
    )
    return None if is_box or not last else INVERTED
