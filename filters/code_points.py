"""What every Unicode code point is, as tables: by the Unicode version of the running Python."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

import numpy as np

CODE_POINTS = 0x110000
SPACE, ALPHANUMERIC, SPECIAL, CAPITAL, SMALL = 1, 2, 4, 8, 16
"""`str.isspace()`; `str.isalnum()`; neither letter nor combining mark (categories L and M);
`str.isupper()`; a cased letter that is no capital."""

_CASED = 0x20000
"""No code point from here on has a lower case (Unicode 14 to 16)."""
_MARKED = ((0, _CASED), (0xE0000, 0xE0200))
"""All combining marks are in these ranges."""


@lru_cache(maxsize=1)
def classes_of_all() -> np.ndarray:
    """The classes of every code point, as bits."""
    points = np.arange(CODE_POINTS, dtype=np.uint32).view("U1")
    marks = np.zeros(CODE_POINTS, bool)
    for start, stop in _MARKED:
        marks[start:stop] = [unicodedata.category(chr(p))[0] == "M" for p in range(start, stop)]
    capital, titled = np.strings.isupper(points), np.strings.istitle(points)
    bits = np.zeros(CODE_POINTS, np.uint8)
    for bit, members in (
        (SPACE, np.strings.isspace(points)),
        (ALPHANUMERIC, np.strings.isalnum(points)),
        (SPECIAL, ~(np.strings.isalpha(points) | marks)),
        (CAPITAL, capital),
        (SMALL, np.strings.islower(points) | (titled & ~capital)),
    ):
        bits[members] |= bit
    return bits


@lru_cache(maxsize=1)
def lower_of_all() -> np.ndarray:
    """The lower case of every code point that may have one: the first character of str.lower()."""
    points = np.arange(_CASED, dtype=np.uint32).view("U1")
    lower = np.arange(_CASED, dtype=np.int32)
    for p in np.flatnonzero(np.strings.isupper(points) | np.strings.istitle(points)):
        lower[p] = ord(chr(p).lower()[0])
    return lower
