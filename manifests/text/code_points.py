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

SIZE, COMBINING = 56, 63
"""Of a spelling: the lowest bit of its size in bytes; the bit that says it is a combining mark."""
_UTF8 = (
    (1, 0, 0x80, 0),
    (2, 0x80, 0x800, 0xC0),
    (3, 0x800, 0x10000, 0xE0),
    (4, 0x10000, CODE_POINTS, 0xF0),
)
"""Bytes, first code point, the one after the last, and what the leading byte begins with."""
_WITHOUT_SPACES = (
    (0x0E00, 0x0F00),  # Thai, Lao
    (0x1000, 0x10A0),  # Myanmar
    (0x1780, 0x1800),  # Khmer
    (0x3005, 0x3008),  # ideographic iteration mark, closing mark, zero
    (0x3040, 0x3100),  # Hiragana, Katakana
    (0x31F0, 0x3200),  # Katakana phonetic extensions
    (0x3400, 0x4DC0),  # CJK ideographs, extension A
    (0x4E00, 0xA000),  # CJK ideographs
    (0xA9E0, 0xAA00),  # Myanmar extended B
    (0xAA60, 0xAA80),  # Myanmar extended A
    (0xF900, 0xFB00),  # CJK compatibility ideographs
    (0xFF66, 0xFFA0),  # half-width Katakana
    (0x116D0, 0x11700),  # Myanmar extended C
    (0x1AFF0, 0x1B170),  # Kana extended and supplement
    (0x20000, 0x40000),  # CJK ideographs, extensions B and on
)
"""Unicode blocks of the scripts written without spaces, whose characters are words of their own."""


@lru_cache(maxsize=1)
def class_table() -> np.ndarray:
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
def lower_case_table() -> np.ndarray:
    """The lower case of every code point that may have one: the first character of str.lower()."""
    points = np.arange(_CASED, dtype=np.uint32).view("U1")
    lower = np.arange(_CASED, dtype=np.int32)
    for p in np.flatnonzero(np.strings.isupper(points) | np.strings.istitle(points)):
        lower[p] = ord(chr(p).lower()[0])
    return lower


@lru_cache(maxsize=1)
def encoding_table() -> np.ndarray:
    """How every code point is written in a text that is to be cut at its spaces, uint64, (2,
    CODE_POINTS): first where texts are cut at whitespace, then where they are cut into words.

    Bytes 0 to 6 are UTF-8, the first byte lowest; byte 7 has how many of them count (SIZE), and
    whether it is a combining mark, which may go on a word and begin none (COMBINING, where cut into
    words). Characters are in lower case. What separates is one space: whitespace, or where cut into
    words all but letters, marks and numbers (Unicode categories L, M, N); there a character of a
    script without spaces has one on either side.
    """
    classes = class_table()
    letter_or_mark, alphanumeric = classes & SPECIAL == 0, classes & ALPHANUMERIC > 0
    separates = np.stack([classes & SPACE > 0, ~(letter_or_mark | alphanumeric)])
    spellings = np.stack([np.concatenate([_utf8(*of_a_size) for of_a_size in _UTF8])] * 2)
    spellings[:, :_CASED] = spellings[:, lower_case_table()]
    for start, stop in _WITHOUT_SPACES:
        spellings[1, start:stop] = _between_spaces(spellings[1, start:stop])
        letter_or_mark[start:stop] = False
    spellings[1, letter_or_mark & ~alphanumeric] |= np.uint64(1 << COMBINING)
    spellings[separates] = 1 << SIZE | ord(" ")
    return spellings


def _utf8(size: int, first: int, stop: int, leading: int) -> np.ndarray:
    """The bytes of the code points that have so many, and how many that is."""
    points = np.arange(first, stop, dtype=np.uint64)
    spellings = points >> np.uint64(6 * (size - 1)) | np.uint64(leading | size << SIZE)
    for at in range(1, size):
        six_bits = points >> np.uint64(6 * (size - 1 - at)) & np.uint64(0x3F)
        spellings |= (six_bits | np.uint64(0x80)) << np.uint64(8 * at)
    return spellings


def _between_spaces(spellings: np.ndarray) -> np.ndarray:
    space, size = np.uint64(ord(" ")), spellings >> np.uint64(SIZE)
    alone = spellings ^ size << np.uint64(SIZE)
    after = space << np.uint64(8) * (size + np.uint64(1))
    size_between = (size + np.uint64(2)) << np.uint64(SIZE)
    between: np.ndarray = size_between | after | alone << np.uint64(8) | space
    return between
