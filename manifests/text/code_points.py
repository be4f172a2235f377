"""Tables with a value for every Unicode code point, according to the Unicode version of this
Python."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

import numpy as np

CODE_POINTS = 0x110000
SPACE, ALPHANUMERIC, SPECIAL, CAPITAL, SMALL = 1, 2, 4, 8, 16
"""The classes of characters; each class is one bit. SPACE: `str.isspace()`. ALPHANUMERIC:
`str.isalnum()`. SPECIAL: neither a letter nor a combining mark (categories L and M). CAPITAL:
`str.isupper()`. SMALL: a character with case that is not a capital."""

_CASED = 0x20000
"""The first code point from which on no character has a lower case (Unicode 14 to 16)."""
_MARK_RANGES = ((0, _CASED), (0xE0000, 0xE0200))
"""Ranges of code points (first, last + 1) that contain all combining marks."""

SIZE, COMBINING = 56, 63
"""Positions of bits in the 64-bit numbers of `encoding_table`. SIZE: the lowest of the bits that
hold the number of UTF-8 bytes. COMBINING: the bit that is set for a combining mark."""
_UTF8 = (
    (1, 0, 0x80, 0),
    (2, 0x80, 0x800, 0xC0),
    (3, 0x800, 0x10000, 0xE0),
    (4, 0x10000, CODE_POINTS, 0xF0),
)
"""For each size of a UTF-8 character: number of bytes, first code point, last code point + 1,
prefix of the leading byte."""
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
"""Ranges of code points (first, last + 1) of scripts that are written without spaces. Each
character of these scripts counts as a word."""


@lru_cache(maxsize=1)
def class_table() -> np.ndarray:
    """Returns (CODE_POINTS,) uint8: the classes of each code point, as bits.

    `class_table()[ord("a")] -> ALPHANUMERIC | SMALL`
    """
    points = np.arange(CODE_POINTS, dtype=np.uint32).view("U1")
    marks = np.zeros(CODE_POINTS, bool)
    for start, stop in _MARK_RANGES:
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
    """Returns (_CASED,) int32: the lower case of each code point below _CASED. If the lower case
    has several characters, only the first of them is in the table."""
    points = np.arange(_CASED, dtype=np.uint32).view("U1")
    lower = np.arange(_CASED, dtype=np.int32)
    for p in np.flatnonzero(np.strings.isupper(points) | np.strings.istitle(points)):
        lower[p] = ord(chr(p).lower()[0])
    return lower


def without_spaces() -> np.ndarray:
    """Returns (CODE_POINTS,) bool: whether each code point belongs to a script without spaces."""
    mask = np.zeros(CODE_POINTS, bool)
    for start, stop in _WITHOUT_SPACES:
        mask[start:stop] = True
    return mask


@lru_cache(maxsize=1)
def encoding_table() -> np.ndarray:
    """Returns (2, CODE_POINTS) uint64: for each code point, the UTF-8 bytes by which a text's
    character is replaced, so that the text can then be split at spaces. Row 0 is for tokens between
    whitespace, row 1 is for words.

    Bytes 0 to 6 of each uint64 are the UTF-8 of the character in lower case; byte 0 is the first
    byte. Byte 7, which starts at bit SIZE, is the count of these bytes. In row 1, byte 7 also has
    the bit COMBINING for a combining mark, which can continue a word but not begin a word. A
    separator is replaced by one space. Separators are whitespace in row 0, and everything except
    letters, marks and numbers (categories L, M, N) in row 1. In row 1, a character of a script
    without spaces gets a space on each side.
    """
    classes = class_table()
    letter_or_mark, alphanumeric = classes & SPECIAL == 0, classes & ALPHANUMERIC > 0
    separates = np.stack([classes & SPACE > 0, ~(letter_or_mark | alphanumeric)])
    encodings = np.stack([np.concatenate([_utf8(*size_class) for size_class in _UTF8])] * 2)
    encodings[:, :_CASED] = encodings[:, lower_case_table()]
    for start, stop in _WITHOUT_SPACES:
        encodings[1, start:stop] = _between_spaces(encodings[1, start:stop])
        letter_or_mark[start:stop] = False
    encodings[1, letter_or_mark & ~alphanumeric] |= np.uint64(1 << COMBINING)
    encodings[separates] = 1 << SIZE | ord(" ")
    return encodings


def _utf8(size: int, first: int, stop: int, leading: int) -> np.ndarray:
    """Returns the UTF-8 bytes of the code points `first` to `stop` - 1, packed into one uint64 for
    each code point, as in `encoding_table`. `size`: the number of bytes of a code point; `leading`:
    the prefix of its first byte."""
    points = np.arange(first, stop, dtype=np.uint64)
    encodings = points >> np.uint64(6 * (size - 1)) | np.uint64(leading | size << SIZE)
    for at in range(1, size):
        six_bits = points >> np.uint64(6 * (size - 1 - at)) & np.uint64(0x3F)
        encodings |= (six_bits | np.uint64(0x80)) << np.uint64(8 * at)
    return encodings


def _between_spaces(encodings: np.ndarray) -> np.ndarray:
    """Returns the same characters, each between two spaces: `é` becomes ` é `. Each uint64 packs
    the UTF-8 bytes of one character and the number of these bytes, as in `encoding_table`."""
    space, size = np.uint64(ord(" ")), encodings >> np.uint64(SIZE)
    alone = encodings ^ size << np.uint64(SIZE)
    after = space << np.uint64(8) * (size + np.uint64(1))
    size_between = (size + np.uint64(2)) << np.uint64(SIZE)
    between: np.ndarray = size_between | after | alone << np.uint64(8) | space
    return between
