"""64-bit hashes within a Hamming distance: keys that near ones share, and the pairs in a key.

Two hashes that differ in at most d bits agree in at least two of d + 2 chunks of their bits. So
every pair of chunks is a band, and near hashes share the key of at least one band.
"""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
from numba import int64, types, uint8, uint64

from manifests.kernels.compiling import compiled, inlined
from manifests.kernels.forest import find
from manifests.kernels.grouping import runs
from manifests.kernels.splitmix64 import GOLDEN, finalise

HASH_BITS = 64
MOST_DISTANCE = HASH_BITS - 2
"""There are no more chunks than bits."""
_BLOCK = 64
"""Hashes that are compared with one before any is looked at (ours)."""

_WORDS = types.Array(uint64, 1, "C", readonly=True)
_STARTS = types.Array(int64, 1, "C", readonly=True)

# Counting the set bits of a word (Hacker's Delight, 5-1); compilers know it for one instruction.
_1, _2, _4, _56 = np.uint64(1), np.uint64(2), np.uint64(4), np.uint64(56)
_ODD, _PAIRS = np.uint64(0x5555555555555555), np.uint64(0x3333333333333333)
_NIBBLES, _BYTES = np.uint64(0x0F0F0F0F0F0F0F0F), np.uint64(0x0101010101010101)


def band_keys(hashes: np.ndarray, distance: int) -> np.ndarray:
    """(n, bands) uint64: hashes that differ in at most `distance` bits share at least one key.

    There are (distance + 2) (distance + 1) / 2 bands, and the band is part of the key.
    """
    keys = np.empty((len(hashes), len(masks := _masks(distance))), np.uint64)
    for band, mask in enumerate(masks):
        keys[:, band] = finalise((hashes & mask) + np.uint64((band + 1) * GOLDEN % 2**64))
    return keys


def _masks(distance: int) -> list[np.uint64]:
    """The bits of each pair of chunks; the chunks are of as near one size as can be."""
    assert 0 <= distance <= MOST_DISTANCE, distance
    chunks = distance + 2
    ends = [HASH_BITS * chunk // chunks for chunk in range(chunks + 1)]
    masks = [(1 << end) - (1 << start) for start, end in pairwise(ends)]
    return [np.uint64(one | other) for one, other in combinations(masks, 2)]


def near(first: np.ndarray, second: np.ndarray, distance: int) -> np.ndarray:
    """Whether each hash differs in at most `distance` bits from the one at its place, bool."""
    close: np.ndarray = np.bitwise_count(first ^ second) <= distance
    return close


def close_pairs(
    keys: np.ndarray, hashes: np.ndarray, mirrors: np.ndarray, distance: int
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (k, 2) int64 of entries with equal keys whose images differ in at most `distance`
    bits, either of them mirrored if that is nearer; and in how many, uint8.

    Entries are sorted by key, and within a key stand in any order. Of equal images, mirrored or
    not, the first stands for all: the others are in no pair, not with it either. A pair that pairs
    before it connect already, all of them as near, is left out: a key has at most `distance` + 1
    times as many pairs as entries, and a nearest way between any two is among them.
    """
    starts, room = runs(keys), len(keys)
    while True:
        pairs, distances = np.empty((room, 2), np.int64), np.empty(room, np.uint8)
        found = _close_pairs(starts, hashes, mirrors, distance, pairs, distances)
        if found <= room:
            return pairs[:found], distances[:found]
        room = found


@inlined
def _ones(word: np.uint64) -> np.uint64:
    word = word - ((word >> _1) & _ODD)
    word = (word & _PAIRS) + ((word >> _2) & _PAIRS)
    return (((word + (word >> _4)) & _NIBBLES) * _BYTES) >> _56


@inlined
def _apart(hash_: np.uint64, mirror: np.uint64, other: np.uint64, turned: np.uint64) -> np.uint64:
    """The bits in which two images differ, the one or the other mirrored if that is nearer.

    Mirroring one or the other would be the same, but for rounding where they were reduced.
    """
    return min(_ones(hash_ ^ other), _ones(hash_ ^ turned), _ones(mirror ^ other))


@inlined
def _connects(parents: np.ndarray, one: int, other: int) -> bool:
    """Whether two nodes were of different trees; now they are of one."""
    first, second = find(parents, one), find(parents, other)
    parents[max(first, second)] = min(first, second)
    return bool(first != second)


@compiled(int64(_STARTS, _WORDS, _WORDS, int64, int64[:, ::1], uint8[::1]))
def _close_pairs(
    starts: np.ndarray,
    hashes: np.ndarray,
    mirrors: np.ndarray,
    distance: int,
    pairs: np.ndarray,
    distances: np.ndarray,
) -> int:
    """How many pairs there are; they are written as far as there is room.

    What stands is kept side by side, so that a block of it is compared at once; only where some of
    a block is near is each looked at.
    """
    found, longest = 0, 0
    for run in range(len(starts) - 1):
        longest = max(longest, starts[run + 1] - starts[run])
    places = np.empty(longest, np.int64)
    known, turned = np.empty(longest, np.uint64), np.empty(longest, np.uint64)
    close, bits = np.empty(longest, np.int64), np.empty(longest, np.int64)
    trees = np.empty((distance + 1, longest), np.int64)  # of pairs so near or nearer
    most = np.uint64(distance)
    for run in range(len(starts) - 1):
        standing = 0
        for i in range(starts[run], starts[run + 1]):
            hash_, mirror = hashes[i], mirrors[i]
            count, equal = 0, False
            for block in range(0, standing, _BLOCK):
                end = min(block + _BLOCK, standing)
                nearest = most + _1
                for k in range(block, end):
                    nearest = min(nearest, _apart(hash_, mirror, known[k], turned[k]))
                if nearest > most:
                    continue
                for k in range(block, end):
                    as_it_is = hash_ == known[k] and mirror == turned[k]
                    equal |= as_it_is or (hash_ == turned[k] and mirror == known[k])
                    close[count] = k
                    bits[count] = np.int64(_apart(hash_, mirror, known[k], turned[k]))
                    count += bits[count] <= distance
            if equal:
                continue
            trees[:, standing] = standing
            for c in range(count):
                if not _connects(trees[bits[c]], standing, close[c]):
                    continue
                for level in range(bits[c] + 1, distance + 1):
                    _connects(trees[level], standing, close[c])
                if found < len(pairs):
                    pairs[found, 0], pairs[found, 1] = places[close[c]], i
                    distances[found] = bits[c]
                found += 1
            places[standing], known[standing], turned[standing] = i, hash_, mirror
            standing += 1
    return found
