"""Damage to values and to bytes."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from random import Random
from typing import Any

ODD: tuple[Any, ...] = (
    None, True, -1, 0, 1e308, 10**30, "", "x", " ", [], {}, [[]], [None], {"a": 1}, [1, 2, 3],
    "NaN", 0.5, "é" * 300, [[1, 2], [3, 4]], [["a"] * 4], 2**63, "\x00", "../../../etc/passwd",
    "/dev/null", "data:image/png;base64,AAAA", "http://127.0.0.1:1/a.jpg",
)  # fmt: skip
FRAGMENTS = (
    b"<", b">", b"&x;", b"nan", b"-1", b"1e400", b"\xff", b"\0", b'"', b"}", b"[", b"]", b",",
    b"\n", b"\t", b"\\", b'""', b"\n\n", b"\r", b"\xef\xbb\xbf", b"{}", b"null", b"\xed\xa0\x80",
)  # fmt: skip


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each place in a value, as its holder and its key or index."""
    keys = list(value) if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], dict | list):
            yield from places(value[key])


def odd_value(draw: Random) -> Any:
    return copy.deepcopy(draw.choice(ODD))


def without_a_field(value: Any, draw: Random) -> Any:
    """A copy of the value without one of its fields or elements, at any depth."""
    return _changed(value, draw, removes=True)


def with_an_odd_field(value: Any, draw: Random) -> Any:
    """A copy of the value with one of its fields or elements replaced, at any depth."""
    return _changed(value, draw, removes=False)


def _changed(value: Any, draw: Random, removes: bool) -> Any:
    if not isinstance(value, dict | list):
        return odd_value(draw)
    value = copy.deepcopy(value)
    if found := list(places(value)):
        holder, key = draw.choice(found)
        if removes:
            del holder[key]
        else:
            holder[key] = odd_value(draw)
    return value


def a_byte_changed(data: bytes, draw: Random) -> tuple[bytes, int]:
    """The data with another byte at one place, and the place."""
    at = draw.randrange(len(data))
    new = draw.choice((data[at] ^ (1 << draw.randrange(8)), draw.randrange(256), 0x22, 0x0A))
    return data[:at] + bytes([new]) + data[at + 1 :], at


def bytes_removed(data: bytes, draw: Random) -> tuple[bytes, int]:
    at = draw.randrange(len(data))
    return data[:at] + data[at + draw.randrange(1, 30) :], at


def a_fragment_inserted(data: bytes, draw: Random) -> tuple[bytes, int]:
    at = draw.randrange(len(data) + 1)
    return data[:at] + draw.choice(FRAGMENTS) + data[at:], at


def bytes_changed(data: bytes, draw: Random) -> tuple[bytes, int, str]:
    """The data with one of the changes of this module, its place, and what it is."""
    change = draw.choice((a_byte_changed, bytes_removed, a_fragment_inserted, cut_short))
    changed, at = change(data, draw)
    return changed, at, f"{change.__name__.replace('_', ' ')} at {at}"


def cut_short(data: bytes, draw: Random) -> tuple[bytes, int]:
    at = draw.randrange(len(data))
    return data[:at], at
