r"""Finds the tokens of the pattern `\w+|[^\w\s]+` in a text; called by compiled loops.

The tokens of "It's 7_b..." are `it`, `'`, `s`, `7_b` and `...`: those of NLTK's WordPunctTokenizer
in lower case. `\w` is a letter, a number or an underscore, and not a combining mark. The text must
first be copied with `write_lower` and the table `pattern_encodings`.
"""

from __future__ import annotations

import numpy as np

from manifests.kernels.compiling import inlined
from manifests.kernels.simd import BLOCK, lowest_bit, separator_mask, underscore_mask
from manifests.kernels.tokens import FIRST

GROWTH = 4
"""The copy of a text is at most this many times as long: two bytes may become seven."""
_NONE, _ONE, _63 = np.uint64(0), np.uint64(1), np.uint64(63)


@inlined
def find_pattern_tokens(text: np.ndarray, end: int, edges: np.ndarray) -> int:
    """Writes the start and the end of each token into `edges`: start, end, start, end ... `text` is
    the copy that `write_lower` made; it ends at `end`. Returns the number of tokens."""
    starts, ends = 0, 0
    word_before, sign_before = _NONE, _NONE
    for at in range(FIRST, end, BLOCK):
        spaces = separator_mask(text, at, False)
        words = ~separator_mask(text, at, True) | underscore_mask(text, at)
        if end - at < BLOCK:
            after = ~_NONE << np.uint64(end - at)
            spaces |= after
            words &= ~after
        signs = ~(words | spaces)
        old_words, old_signs = words << _ONE | word_before, signs << _ONE | sign_before
        word_before, sign_before = words >> _63, signs >> _63
        starts = _write(words & ~old_words | signs & ~old_signs, at, 0, starts, edges)
        ends = _write(~words & old_words | ~signs & old_signs, at, 1, ends, edges)
    if ends < starts:
        edges[2 * ends + 1] = end
    return starts


@inlined
def _write(mask: np.uint64, at: int, side: int, count: int, edges: np.ndarray) -> int:
    """Writes the positions of the set bits of `mask` into `edges`, as starts (`side` 0) or ends
    (`side` 1) of tokens. `count` is how many were written before. Returns the new count."""
    while mask != _NONE:
        edges[2 * count + side] = at + lowest_bit(mask)
        mask &= mask - _ONE
        count += 1
    return count
