"""Tables with an entry for every code point, by which a text is split into words and signs."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from manifests.text.code_points import (
    ALPHANUMERIC,
    CODE_POINTS,
    SIZE,
    SPACE,
    SPECIAL,
    class_table,
    encoding_table,
    lower_case_table,
    without_spaces,
)

WHITESPACE, WORD, ALONE = 0, 1, 2
"""Classes of characters. A character of the class ALONE is a token of its own."""
CLASS_BIT = 24
"""The lowest bit of the class in an entry of `words_and_signs`; the bits below are the lower
case."""

_ASCII, _DIGITS = 128, 7
_FIRST_DIGIT, _DIGIT = 0x0E, 0x01
"""A sign becomes the seven octal digits of its code point, as control characters: the first digit
from 0x0E on, the others from 0x01 on. None of them is whitespace, a letter or a number."""


@lru_cache(maxsize=1)
def words_and_signs() -> np.ndarray:
    """Returns (CODE_POINTS,) uint32: the class and the lower case of each code point.

    The tokens of "It's 漢字" are `it`, `'`, `s`, `漢` and `字`. A word is a run of letters,
    combining marks and numbers. Any other character is a token of its own, and so is each
    character of a script without spaces.
    """
    classes = class_table()
    kinds = np.full(CODE_POINTS, ALONE, np.uint32)
    kinds[(classes & ALPHANUMERIC > 0) | (classes & SPECIAL == 0)] = WORD
    kinds[without_spaces()] = ALONE
    kinds[classes & SPACE > 0] = WHITESPACE
    lower, cased = np.arange(CODE_POINTS, dtype=np.uint32), lower_case_table()
    lower[: len(cased)] = cased
    entries: np.ndarray = kinds << np.uint32(CLASS_BIT) | lower
    return entries


@lru_cache(maxsize=1)
def pattern_encodings() -> np.ndarray:
    r"""Returns (CODE_POINTS,) uint64: the bytes that replace each character beyond ASCII, so that
    every token of the pattern `\w+|[^\w\s]+` becomes a run of bytes of one kind.

    The bytes are packed as in `encoding_table`. A letter or a number becomes its lower case, in
    bytes from 0x80 on; whitespace becomes a space; any other character, a sign, becomes seven
    control characters.
    """
    classes = class_table()
    encodings: np.ndarray = encoding_table()[0].copy()
    signs = np.flatnonzero(classes & (ALPHANUMERIC | SPACE) == 0)
    signs = signs[signs >= _ASCII].astype(np.uint64)
    made = np.full(len(signs), _DIGITS << SIZE, np.uint64)
    for at in range(_DIGITS):
        digit = signs >> np.uint64(3 * (_DIGITS - 1 - at)) & np.uint64(7)
        base = np.uint64(_DIGIT if at else _FIRST_DIGIT)
        made |= (digit + base) << np.uint64(8 * at)
    encodings[signs] = made
    return encodings
