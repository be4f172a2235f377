"""The boxes or points in a model's reply, which is JSON."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from typing import Any, Literal, NamedTuple

from recaption.json_replies import WrongReplyError, json_value
from recaption.locate.spaces import Size

What = Literal["boxes", "points"]
KEYS: dict[What, tuple[str, int]] = {"boxes": ("bbox_2d", 4), "points": ("point_2d", 2)}
"""The key of an object's coordinates in a reply, and how many coordinates it has (published in the
cookbooks of Qwen2.5-VL and Qwen3-VL)."""
NOT_A_LIST, NOT_AN_OBJECT = "not a list", "not an object"
NO_COORDINATES, UNKNOWN_LABEL = "no coordinates", "unknown label"
OUTSIDE, INVERTED, REPETITION = "outside the image", "inverted box", "repetition"
MAX_EQUAL = 4
"""A reply with more equal boxes or points of one label is bad, because it repeats itself (our
choice). If there are no more, one of them is kept, and the others are counted."""


class Located(NamedTuple):
    """An object of a reply: its name, None if the model was asked for a description; and its
    coordinates, in the space of the reply."""

    name: str | None
    numbers: tuple[float, ...]


class Wanted(NamedTuple):
    """What a reply may contain: boxes or points with one of these names (with any label if there
    are no names), and with coordinates from 0 to `size`."""

    what: What
    names: tuple[str, ...]
    size: Size


def objects_of(text: str, wanted: Wanted) -> list[Located]:
    """Returns the objects in a reply, in the order of the reply. Raises WrongReplyError unless the
    reply is a JSON list of objects as `wanted` describes them."""
    items = json_value(text)
    if not isinstance(items, list):
        raise WrongReplyError(NOT_A_LIST)
    names = {plain(name): name for name in wanted.names}
    found = [_located(item, wanted, names) for item in items]
    if max(Counter(found).values(), default=0) > MAX_EQUAL:
        raise WrongReplyError(REPETITION)
    return found


def plain(name: str) -> str:
    """Returns a name in the form in which names are compared: in Unicode's form NFKC, case-folded,
    and without extra spaces."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def _located(item: Any, wanted: Wanted, names: dict[str, str]) -> Located:
    if not isinstance(item, dict):
        raise WrongReplyError(NOT_AN_OBJECT)
    key, count = KEYS[wanted.what]
    numbers = item.get(key)
    if not isinstance(numbers, list) or len(numbers) != count or not all(map(_is_number, numbers)):
        raise WrongReplyError(NO_COORDINATES)
    label = item.get("label")
    name = names.get(plain(label)) if isinstance(label, str) else None
    if names and name is None:
        raise WrongReplyError(UNKNOWN_LABEL)
    _check_place(numbers, wanted.size)
    return Located(name, tuple(map(float, numbers)))


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return -1e15 < value < 1e15 and math.isfinite(value)


def _check_place(numbers: list[float], size: Size) -> None:
    first, last = numbers[:2], numbers[2:]
    sides = size * (len(numbers) // 2)
    if not all(0 <= number <= side for number, side in zip(numbers, sides, strict=True)):
        raise WrongReplyError(OUTSIDE)
    if last and not all(a < b for a, b in zip(first, last, strict=True)):
        raise WrongReplyError(INVERTED)
