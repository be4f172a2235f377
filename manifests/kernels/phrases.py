"""Finds all phrases of a list that occur in a text, as whole tokens.

A token is a word or a single other character; in scripts without spaces each character is a token.
Case and whitespace are ignored. Sequences of tokens of a text are looked up in a hash table by a
64-bit polynomial hash; different phrases are assumed to have different hashes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numba import int32, int64, types, uint8, uint32, uint64, void

from manifests.kernels.class_tokens import TABLE, finalised, hash_class_tokens
from manifests.kernels.compiling import BYTES, OFFSETS, buffers, compiled, inlined, longest
from manifests.kernels.decoding import decode
from manifests.text.token_classes import words_and_signs

MAX_TOKENS = 255
"""The most tokens that a phrase can have: lengths are stored in a byte."""
_FIRST_GUESS = 8
"""For how many matches per text memory is allocated at first (our choice); it is doubled whenever
it is full."""
_BASE = np.uint64(0xD6E8FEB86659FD93)
"""An odd 64-bit constant for the polynomial (of the mixer "rrmxmx", Evensen 2018)."""
_NONE, _ONE = np.uint64(0), np.uint64(1)


class PhraseTable(NamedTuple):
    """A hash table of phrases. A row of `slots` (n, 2) uint64 has the hash of a phrase, and the
    phrase's number plus 1, side by side so that a look-up waits for memory once. A free slot has
    two zeros. `longest`: for each token, the number of tokens of the longest phrase that begins
    with it; the index is the low bits of the token's hash. `phrases`: the number of phrases."""

    slots: np.ndarray
    longest: np.ndarray
    phrases: int


def phrase_hashes(phrases: pa.Array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the hash of each phrase (uint64), the hash of the phrase's first token (uint64), and
    the number of tokens (int32). Phrases with the same tokens have the same hash: "New York" and
    "new york"."""
    offsets, data = buffers(phrases)
    hashes, first = np.zeros(len(phrases), np.uint64), np.zeros(len(phrases), np.uint64)
    tokens = np.zeros(len(phrases), np.int32)
    _hash_phrases(offsets, data, words_and_signs(), *_scratch(offsets), hashes, first, tokens)
    return hashes, first, tokens


def phrase_table(phrases: pa.Array) -> tuple[PhraseTable, np.ndarray]:
    """Returns a hash table of phrases, and the number of each phrase in this table. Phrases with
    the same tokens have the same number. Each phrase must have 1 to MAX_TOKENS tokens."""
    hashes, first, tokens = phrase_hashes(phrases)
    assert not len(tokens) or (tokens.min() >= 1 and tokens.max() <= MAX_TOKENS)
    distinct, at, numbers = np.unique(hashes, return_index=True, return_inverse=True)
    size = 1 << max(4, int(2 * len(distinct)).bit_length())
    slots, lengths = np.zeros((size, 2), np.uint64), np.zeros(4 * size, np.uint8)
    np.maximum.at(lengths, first & np.uint64(len(lengths) - 1), tokens.astype(np.uint8))
    _fill(distinct, slots)
    return PhraseTable(slots, lengths, len(at)), numbers.astype(np.int32)


def find_phrases(texts: pa.Array, table: PhraseTable) -> tuple[np.ndarray, np.ndarray]:
    """Returns offsets (texts + 1, int64) and phrase numbers (int32): text i has the phrases
    numbers[offsets[i] : offsets[i + 1]], each once, in the order in which they begin in the
    text."""
    offsets, data = buffers(texts)
    ends = np.zeros(len(texts) + 1, np.int64)
    seen = np.zeros(table.phrases, np.int32)
    found = np.empty(_FIRST_GUESS * len(texts) + 64, np.int32)
    lookup, scratch = (table.slots, table.longest), _scratch(offsets)
    row = 0
    while True:
        row = _find(offsets, data, words_and_signs(), *scratch, *lookup, row, seen, ends, found)
        if row == len(texts):
            return ends, found[: ends[-1]]
        found = np.concatenate([found, np.empty(len(found), np.int32)])


def _scratch(offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    size = longest(offsets)
    return np.empty(size, np.uint32), np.empty(size + 1, np.uint64)


@inlined
def _next(hashed: np.uint64, token: np.uint64) -> np.uint64:
    return np.uint64((hashed + token + _ONE) * _BASE)


@compiled(
    void(OFFSETS, BYTES, TABLE, uint32[::1], uint64[::1], uint64[::1], uint64[::1], int32[::1])
)
def _hash_phrases(
    offsets: np.ndarray,
    data: np.ndarray,
    table: np.ndarray,
    points: np.ndarray,
    tokens: np.ndarray,
    hashes: np.ndarray,
    first: np.ndarray,
    counts: np.ndarray,
) -> None:
    for row in range(len(hashes)):
        length = decode(data[offsets[row] : offsets[row + 1]], points)
        counts[row] = hash_class_tokens(points[:length], table, tokens)
        hashed = _NONE
        for i in range(counts[row]):
            hashed = _next(hashed, finalised(tokens[i]))
        hashes[row] = hashed
        if counts[row] > 0:
            first[row] = finalised(tokens[0])


_SLOTS = types.Array(uint64, 2, "C", readonly=True)
_LENGTHS = types.Array(uint8, 1, "C", readonly=True)


@inlined
def _slot(slots: np.ndarray, hashed: np.uint64) -> np.uint64:
    """Returns the slot that has the hash, or the free slot in which to put it."""
    last = np.uint64(len(slots) - 1)
    slot = finalised(hashed) & last
    while slots[slot, 1] != _NONE and slots[slot, 0] != hashed:
        slot = (slot + _ONE) & last
    return np.uint64(slot)


@inlined
def _forget(seen: np.ndarray, numbers: np.ndarray) -> None:
    """Marks the phrases `numbers` as not seen."""
    for number in numbers:
        seen[number] = 0


@compiled(void(uint64[::1], uint64[:, ::1]))
def _fill(hashes: np.ndarray, slots: np.ndarray) -> None:
    for i in range(len(hashes)):
        slot = _slot(slots, hashes[i])
        slots[slot, 0], slots[slot, 1] = hashes[i], np.uint64(i + 1)


@compiled(
    int64(
        *(OFFSETS, BYTES, TABLE, uint32[::1], uint64[::1]),
        *(_SLOTS, _LENGTHS),
        *(int64, int32[::1], int64[::1], int32[::1]),
    )
)
def _find(
    offsets: np.ndarray,
    data: np.ndarray,
    table: np.ndarray,
    points: np.ndarray,
    tokens: np.ndarray,
    slots: np.ndarray,
    lengths: np.ndarray,
    start: int,
    seen: np.ndarray,
    ends: np.ndarray,
    found: np.ndarray,
) -> int:
    """Writes the phrases of the texts from `start` on into `found`, and where each text's phrases
    end into `ends`. Returns the first text whose phrases do not fit into `found`, or the number of
    texts. `seen` has, for each phrase, the last text with the phrase, counted from 1."""
    last = np.uint64(len(lengths) - 1)
    for row in range(start, len(offsets) - 1):
        length = decode(data[offsets[row] : offsets[row + 1]], points)
        count = hash_class_tokens(points[:length], table, tokens)
        for i in range(count):
            tokens[i] = finalised(tokens[i])
        at = ends[row]
        for i in range(count):
            hashed = _NONE
            for j in range(i, min(count, i + lengths[tokens[i] & last])):
                hashed = _next(hashed, tokens[j])
                number = np.int64(slots[_slot(slots, hashed), 1]) - 1
                if number >= 0 and seen[number] != row + 1:
                    if at == len(found):
                        _forget(seen, found[ends[row] : at])
                        return row
                    seen[number] = row + 1
                    found[at] = number
                    at += 1
        ends[row + 1] = at
    return len(offsets) - 1
