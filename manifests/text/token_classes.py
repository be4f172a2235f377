"""Tables that split a text into tokens: for every code point its lower case and its class.

A token is a run of characters of one class, or a single character. Whitespace separates tokens.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from manifests.text.code_points import (
    ALPHANUMERIC,
    CODE_POINTS,
    SPACE,
    SPECIAL,
    class_table,
    lower_case_table,
    without_spaces,
)

WHITESPACE, WORD, PUNCTUATION, ALONE = 0, 1, 2, 3
"""Classes of characters. ALONE: each character is a token of its own."""
CLASS_BIT = 24
"""The lowest bit of the class in an entry of a table; below it is the lower case."""


@lru_cache(maxsize=1)
def words_and_punctuation() -> np.ndarray:
    r"""Returns (CODE_POINTS,) uint32: a table for the tokens of the pattern `\w+|[^\w\s]+` in lower
    case.

    "It's 7_b" -> it ' s 7_b. This is the pattern of NLTK's WordPunctTokenizer. `\w` is a letter, a
    number or an underscore, and not a combining mark.
    """
    classes = class_table()
    kinds = np.full(CODE_POINTS, PUNCTUATION, np.uint32)
    kinds[classes & ALPHANUMERIC > 0] = WORD
    kinds[ord("_")] = WORD
    kinds[classes & SPACE > 0] = WHITESPACE
    return _with_lower_case(kinds)


@lru_cache(maxsize=1)
def words_and_signs() -> np.ndarray:
    """Returns (CODE_POINTS,) uint32: a table for words, and all other characters one by one, in
    lower case.

    "It's 漢字" -> it ' s 漢 字. A word is a run of letters, combining marks and numbers; in scripts
    without spaces each character is a token.
    """
    classes = class_table()
    kinds = np.full(CODE_POINTS, ALONE, np.uint32)
    kinds[(classes & ALPHANUMERIC > 0) | (classes & SPECIAL == 0)] = WORD
    kinds[without_spaces()] = ALONE
    kinds[classes & SPACE > 0] = WHITESPACE
    return _with_lower_case(kinds)


def _with_lower_case(kinds: np.ndarray) -> np.ndarray:
    lower = np.arange(CODE_POINTS, dtype=np.uint32)
    cased = lower_case_table()
    lower[: len(cased)] = cased
    entries: np.ndarray = kinds << np.uint32(CLASS_BIT) | lower
    return entries
