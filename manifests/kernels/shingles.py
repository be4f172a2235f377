"""The n-grams of tokens that a text is compared by, each a 32-bit hash.

A text of fewer than n tokens has one shingle, of all of them. One that has no word, yet something
that is not whitespace, has one shingle, of its tokens as cut at whitespace. A text of whitespace
alone has none.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numba import boolean, int64, types, uint8, uint32, uint64, void

from manifests.kernels.compiling import BYTES, OFFSETS, buffers, compiled, inlined, longest
from manifests.kernels.hash_set import put, slot_bits, slots_for
from manifests.kernels.simd import BLOCK
from manifests.kernels.tokens import FIRST, find_tokens, hash_characters, hash_tokens, write_lower
from manifests.text.code_points import encoding_table

WORDS, WHITESPACE, CHARACTERS = 0, 1, 2
"""What a token is: a run of letters, marks and numbers, or one such character of a script written
without spaces; what lies between whitespace; a character, with one space for any whitespace."""

_MOST = 2**31 - 1
"""Bytes of the largest column, whose offsets are int32."""
_NONE, _ONE, _32 = np.uint64(0), np.uint64(1), np.uint64(32)
_BASE, _SPREAD = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)
"""Odd 64-bit constants of a rolling polynomial and a multiplicative hash (both of splitmix64)."""


class Shingles(NamedTuple):
    """The shingles of texts: those of text i are hashes[offsets[i] : offsets[i + 1]]."""

    identity: np.ndarray
    """(rows, 2) uint64: a hash of the tokens in order; zeros where there is none."""
    offsets: np.ndarray
    hashes: np.ndarray


class _Room(NamedTuple):
    """What is worked out of one text at a time, and the table for it."""

    spellings: np.ndarray
    text: np.ndarray
    edges: np.ndarray
    tokens: np.ndarray
    slots: np.ndarray


_ROOM = types.NamedTuple((uint64[:, ::1], uint8[::1], uint32[::1], uint64[::1], uint64[::1]), _Room)


def text_hashes(texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """A 128-bit hash of each text, (rows, 2) uint64, and whether it is more than whitespace, bool.

    Texts have the same hash when they are the same but for capitals, runs of whitespace, and
    whitespace at either end.
    """
    (all_rows,) = in_blocks(texts, WHITESPACE, _MOST, False, _MOST)
    identity, offsets, _ = all_rows
    return identity, np.diff(offsets) > 0


def shingles(texts: pa.Array, tokens: int, n: int, distinct: bool) -> tuple[np.ndarray, np.ndarray]:
    """Offsets (rows + 1, int64) and the hashes (uint32) of each text's n-grams of tokens.

    They are in the order of the text, with repeats or each where it occurs first.
    """
    (all_rows,) = in_blocks(texts, tokens, n, distinct, _MOST)
    return all_rows.offsets, all_rows.hashes


def in_blocks(
    texts: pa.Array, tokens: int, n: int, distinct: bool, block_bytes: int
) -> Iterator[Shingles]:
    """The shingles of a column by blocks of rows, each of one row or of so many bytes at most.

    A block's hashes stay until the next is asked for.
    """
    offsets, data = buffers(texts)
    starts = _block_starts(offsets, block_bytes)
    room = _room(longest(offsets), tokens, distinct)
    largest = int(np.diff(offsets[starts].astype(np.int64)).max())
    hashes = np.empty(_most_tokens(largest, tokens) + int(np.diff(starts).max()), np.uint32)
    for start, stop in pairwise(starts):
        identity = np.zeros((stop - start, 2), np.uint64)
        ends = np.zeros(stop - start + 1, np.int64)
        block = offsets[start : stop + 1], data
        _shingle(*block, tokens, n, distinct, room, identity, ends, hashes)
        yield Shingles(identity, ends, hashes[: ends[-1]])


def _block_starts(offsets: np.ndarray, block_bytes: int) -> list[int]:
    """The rows that blocks start at, and the number of rows."""
    rows = len(offsets) - 1
    starts = [0]
    while starts[-1] < rows:
        limit = np.int32(min(int(offsets[starts[-1]]) + block_bytes, _MOST))
        fitting = int(np.searchsorted(offsets, limit, "right")) - 1
        starts.append(min(max(fitting, starts[-1] + 1), rows))
    return starts if rows else [0, 0]


def _most_tokens(size: int, tokens: int) -> int:
    """Of so many bytes: tokens have a separator between them, or one of the two has three bytes."""
    return size if tokens == CHARACTERS else size // 2 + 1


def _room(size: int, tokens: int, distinct: bool) -> _Room:
    most = _most_tokens(size, tokens) + 1
    return _Room(
        encoding_table(),
        np.empty(FIRST + 2 * size + 2 * BLOCK, np.uint8),
        np.empty(2 * most + 16, np.uint32),
        np.empty(most, np.uint64),
        slots_for(most if distinct else 0),
    )


@inlined
def _tokenise(data: np.ndarray, start: int, end: int, by_words: bool, room: _Room) -> int:
    """Write a text anew and where its tokens are; returns how many there are."""
    written = write_lower(data, start, end, room.spellings[int(by_words)], room.text)
    return int(find_tokens(room.text, written, by_words, room.edges))


@inlined
def _shingle_one(
    data: np.ndarray,
    start: int,
    end: int,
    tokens: int,
    n: int,
    room: _Room,
    identity: np.ndarray,
    grams: np.ndarray,
) -> int:
    """Write the shingles of a text and its identity; returns how many shingles."""
    by_words = tokens == WORDS
    count = _tokenise(data, start, end, by_words, room)
    has_no_word = by_words and count == 0
    if has_no_word:
        count = _tokenise(data, start, end, not by_words, room)
    if count == 0:
        return 0
    one, two = hash_tokens(room.text, room.edges, count, room.tokens)
    identity[0], identity[1] = one, two
    if tokens == CHARACTERS:
        count = hash_characters(room.text, room.edges, count, room.tokens)
    if has_no_word or count < n:
        grams[0] = np.uint32(one >> _32)
        return 1
    return int(_roll(room.tokens[:count], n, grams))


@inlined
def _roll(tokens: np.ndarray, n: int, grams: np.ndarray) -> int:
    """Write a hash of each n-gram: a polynomial of its tokens' hashes that rolls along."""
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
    """Move each hash's first occurrence to the front; returns how many there are."""
    bits = slot_bits(len(grams))
    kept = 0
    for gram in grams:
        grams[kept] = gram
        kept += put(slots, bits, number, gram)
    return kept


@compiled(
    void(OFFSETS, BYTES, int64, int64, boolean, _ROOM, uint64[:, ::1], int64[::1], uint32[::1])
)
def _shingle(
    offsets: np.ndarray,
    data: np.ndarray,
    tokens: int,
    n: int,
    distinct: bool,
    room: _Room,
    identity: np.ndarray,
    ends: np.ndarray,
    hashes: np.ndarray,
) -> None:
    for row in range(len(identity)):
        start, end = np.int64(offsets[row]), np.int64(offsets[row + 1])
        grams = hashes[ends[row] :]
        count = _shingle_one(data, start, end, tokens, n, room, identity[row], grams)
        if distinct:
            count = _keep_first(grams[:count], room.slots, np.uint64(row + 1))
        ends[row + 1] = ends[row] + count
