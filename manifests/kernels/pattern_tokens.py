r"""Finds the tokens of the pattern `\w+|[^\w\s]+` in a text; called by compiled loops.

"It's 7_b..." -> it ' s 7_b ... in lower case. This is the pattern of NLTK's WordPunctTokenizer.
`\w` is a letter, a number or an underscore, and not a combining mark. The text is first copied with
`write_lower` and the table `pattern_encodings`.
"""

from __future__ import annotations

import numpy as np

from manifests.kernels.compiling import inlined
from manifests.kernels.simd import BLOCK, lowest_bit, separator_mask, underscore_mask
from manifests.kernels.tokens import FIRST

GROWTH = 4
"""A character of two bytes may become seven bytes in the copy."""
_NONE, _ONE, _63 = np.uint64(0), np.uint64(1), np.uint64(63)


@inlined
def find_pattern_tokens(text: np.ndarray, end: int, edges: np.ndarray) -> int:
    """Writes into `edges` the positions where each token starts and ends. Returns how many tokens
    there are. The copied text ends at `end`."""
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
    """Writes the positions of the bits of a mask. Returns how many starts, or ends, there are."""
    while mask != _NONE:
        edges[2 * count + side] = at + lowest_bit(mask)
        mask &= mask - _ONE
        count += 1
    return count
