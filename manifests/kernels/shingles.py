"""Shingles: n-grams of tokens, each as a 32-bit hash. Two texts are similar if they have many
shingles in common.

A text of fewer than n tokens has one shingle of all its tokens. If tokens are words, a text without
words, such as "!?", has one shingle of its tokens, split at whitespace. A text that is empty or
only whitespace has no shingles.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numba import boolean, int64, types, uint8, uint32, uint64, void

from manifests.kernels.compiling import BYTES, OFFSETS, buffers, compiled, inlined, longest
from manifests.kernels.hash_set import empty_slots, put, slot_bits
from manifests.kernels.simd import BLOCK
from manifests.kernels.tokens import FIRST, find_tokens, hash_characters, hash_tokens, write_lower
from manifests.text.code_points import encoding_table

WORDS, WHITESPACE, CHARACTERS = 0, 1, 2
"""Kinds of tokens. WORDS: runs of letters, marks and numbers; in scripts written without spaces
each character. WHITESPACE: runs of anything but whitespace. CHARACTERS: each character, and one
space for any whitespace.

"It's 漢字" gives: it, s, 漢, 字; it's, 漢字; i, t, ', s, space, 漢, 字."""

_MAX_BYTES = 2**31 - 1
"""Maximum number of bytes of a column, because its offsets are int32."""
_NONE, _ONE, _32 = np.uint64(0), np.uint64(1), np.uint64(32)
_BASE, _SPREAD = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)
"""Odd 64-bit constants for a rolling polynomial and for a multiplicative hash (both from
splitmix64)."""


class Shingles(NamedTuple):
    """The shingles of texts. Text i has the shingles hashes[offsets[i] : offsets[i + 1]].
    `identity` has a 128-bit hash of all tokens of each text."""

    identity: np.ndarray
    """(rows, 2) uint64: a hash of the tokens in order; zeros for a text without tokens."""
    offsets: np.ndarray
    hashes: np.ndarray


class _Scratch(NamedTuple):
    """Arrays that are overwritten for each text, so that they are allocated only once. Only
    `encodings` is a constant: the table that `encoding_table` returns.

    `text`: the text in lower case. `edges`: where its tokens start and end. `tokens`: a hash of
    each token. `slots`: a hash table that finds repeated shingles.
    """

    encodings: np.ndarray
    text: np.ndarray
    edges: np.ndarray
    tokens: np.ndarray
    slots: np.ndarray


_SCRATCH = types.NamedTuple(
    (uint64[:, ::1], uint8[::1], uint32[::1], uint64[::1], uint64[::1]), _Scratch
)


def text_hashes(texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Returns a 128-bit hash of each text, (rows, 2) uint64, and whether the text has a token,
    (rows,) bool.

    Capitals, repeated whitespace, and whitespace at the start or end are ignored: " A  cat" and
    "a cat" have the same hash.
    """
    (all_rows,) = in_blocks(texts, WHITESPACE, _MAX_BYTES, False, _MAX_BYTES)
    identity, offsets, _ = all_rows
    return identity, np.diff(offsets) > 0


def shingles(texts: pa.Array, tokens: int, n: int, distinct: bool) -> tuple[np.ndarray, np.ndarray]:
    """Returns offsets (rows + 1, int64) and hashes (uint32) of the n-grams of tokens of each text.
    `tokens` is the kind of tokens: WORDS, WHITESPACE or CHARACTERS.

    The hashes are in the order of the text. If `distinct` is true, a text has each hash only once.
    "a b a b", n = 2 -> offsets [0, 3] and the hashes of "a b", "b a", "a b".
    """
    (all_rows,) = in_blocks(texts, tokens, n, distinct, _MAX_BYTES)
    return all_rows.offsets, all_rows.hashes


def in_blocks(
    texts: pa.Array, tokens: int, n: int, distinct: bool, block_bytes: int
) -> Iterator[Shingles]:
    """Yields the shingles of a column of texts in blocks of rows. A block has at most `block_bytes`
    bytes of text; a row with more bytes is a block of its own.

    The hashes of a block are overwritten when the next block is read.
    """
    offsets, data = buffers(texts)
    starts = _block_starts(offsets, block_bytes)
    scratch = _scratch(longest(offsets), tokens, distinct)
    largest = int(np.diff(offsets[starts].astype(np.int64)).max())
    hashes = np.empty(_max_tokens(largest, tokens) + int(np.diff(starts).max()), np.uint32)
    for start, stop in pairwise(starts):
        identity = np.zeros((stop - start, 2), np.uint64)
        ends = np.zeros(stop - start + 1, np.int64)
        block = offsets[start : stop + 1], data
        _shingle(*block, tokens, n, distinct, scratch, identity, ends, hashes)
        yield Shingles(identity, ends, hashes[: ends[-1]])


def _block_starts(offsets: np.ndarray, block_bytes: int) -> list[int]:
    """Returns the first row of each block of at most `block_bytes` bytes; then the number of all
    rows.

    offsets [0, 3, 6, 8], 5 bytes -> [0, 1, 3]: the blocks are row 0, and rows 1 and 2
    """
    rows = len(offsets) - 1
    starts = [0]
    while starts[-1] < rows:
        limit = np.int32(min(int(offsets[starts[-1]]) + block_bytes, _MAX_BYTES))
        fitting = int(np.searchsorted(offsets, limit, "right")) - 1
        starts.append(min(max(fitting, starts[-1] + 1), rows))
    return starts if rows else [0, 0]


def _max_tokens(size: int, tokens: int) -> int:
    """Returns the maximum number of tokens in a text of `size` bytes. `tokens` is the kind of
    tokens: WORDS, WHITESPACE or CHARACTERS. For WORDS the maximum is about half of `size`: between
    two words there is a separator, or one of the words has at least three bytes."""
    return size if tokens == CHARACTERS else size // 2 + 1


def _scratch(size: int, tokens: int, distinct: bool) -> _Scratch:
    max_tokens = _max_tokens(size, tokens) + 1
    return _Scratch(
        encoding_table(),
        np.empty(FIRST + 2 * size + 2 * BLOCK, np.uint8),
        np.empty(2 * max_tokens + 16, np.uint32),
        np.empty(max_tokens, np.uint64),
        empty_slots(max_tokens if distinct else 0),
    )


@inlined
def _tokenise(data: np.ndarray, start: int, end: int, by_words: bool, scratch: _Scratch) -> int:
    """Writes a text in lower case, and the positions where its tokens start and end, into
    `scratch`. Returns how many tokens there are. The text is the bytes `start` to `end` - 1 of
    `data`. If `by_words` is true, a token is a word; otherwise a token is a run of characters
    without whitespace."""
    written = write_lower(data, start, end, scratch.encodings[int(by_words)], scratch.text)
    return int(find_tokens(scratch.text, written, by_words, scratch.edges))


@inlined
def _shingle_one(
    data: np.ndarray,
    start: int,
    end: int,
    tokens: int,
    n: int,
    scratch: _Scratch,
    identity: np.ndarray,
    grams: np.ndarray,
) -> int:
    """Writes the shingles of a text into `grams`, and a hash of all its tokens into `identity`.
    Returns how many shingles there are. The text is the bytes `start` to `end` - 1 of `data`.
    `tokens` is the kind of tokens: WORDS, WHITESPACE or CHARACTERS."""
    by_words = tokens == WORDS
    count = _tokenise(data, start, end, by_words, scratch)
    has_no_word = by_words and count == 0
    if has_no_word:
        count = _tokenise(data, start, end, not by_words, scratch)
    if count == 0:
        return 0
    one, two = hash_tokens(scratch.text, scratch.edges, count, scratch.tokens)
    identity[0], identity[1] = one, two
    if tokens == CHARACTERS:
        count = hash_characters(scratch.text, scratch.edges, count, scratch.tokens)
    if has_no_word or count < n:
        grams[0] = np.uint32(one >> _32)
        return 1
    return int(_roll(scratch.tokens[:count], n, grams))


@inlined
def _roll(tokens: np.ndarray, n: int, grams: np.ndarray) -> int:
    """Writes a hash of each n-gram of tokens into `grams`. The hash is a polynomial of the hashes
    of the tokens, computed from the polynomial of the n-gram before it. Returns how many n-grams
    there are."""
    leaving = _ONE
    for _ in range(n):
        leaving *= _BASE
    gram = _NONE
    for i in range(n - 1):
        gram = gram * _BASE + tokens[i]
    left = _NONE
    count = len(tokens) - n + 1
    for i in range(count):
        gram = gram * _BASE + (tokens[i + n - 1] - left * leaving)
        left = tokens[i]
        grams[i] = np.uint32((gram ^ gram >> _32) * _SPREAD >> _32)
    return count


@inlined
def _keep_first(grams: np.ndarray, slots: np.ndarray, number: np.uint64) -> int:
    """Moves the distinct hashes to the front of `grams`, in order of first occurrence. Returns how
    many distinct hashes there are: [3, 5, 3] -> 2, with [3, 5] at the front.

    `slots` is a `hash_set` table that many sets use in turn; this set has the number `number`.
    """
    bits = slot_bits(len(grams))
    kept = 0
    for gram in grams:
        grams[kept] = gram
        kept += put(slots, bits, number, gram)
    return kept


@compiled(
    void(OFFSETS, BYTES, int64, int64, boolean, _SCRATCH, uint64[:, ::1], int64[::1], uint32[::1])
)
def _shingle(
    offsets: np.ndarray,
    data: np.ndarray,
    tokens: int,
    n: int,
    distinct: bool,
    scratch: _Scratch,
    identity: np.ndarray,
    ends: np.ndarray,
    hashes: np.ndarray,
) -> None:
    for row in range(len(identity)):
        start, end = np.int64(offsets[row]), np.int64(offsets[row + 1])
        grams = hashes[ends[row] :]
        count = _shingle_one(data, start, end, tokens, n, scratch, identity[row], grams)
        if distinct:
            count = _keep_first(grams[:count], scratch.slots, np.uint64(row + 1))
        ends[row + 1] = ends[row] + count
