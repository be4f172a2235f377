"""Finds pairs of 64-bit hashes within a Hamming distance d, by keys that near hashes share.

The bits of a hash are split into d + 2 chunks. Two hashes that differ in at most d bits have at
least two equal chunks. Every pair of chunks is a band, and the bits of both chunks are the key of a
hash in this band. So near hashes have the same key in at least one band.
"""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
from numba import int64, types, uint8, uint64

from manifests.kernels.compiling import compiled, inlined
from manifests.kernels.grouping import runs
from manifests.kernels.popcount import popcount
from manifests.kernels.splitmix64 import GOLDEN, finalise
from manifests.kernels.union_find import find

HASH_BITS = 64
MAX_DISTANCE = HASH_BITS - 2
"""The largest Hamming distance: a larger one would need more chunks than a hash has bits."""
_BLOCK = 64
"""Number of hashes that are compared in one vectorised loop (our choice)."""

_WORDS = types.Array(uint64, 1, "C", readonly=True)
_STARTS = types.Array(int64, 1, "C", readonly=True)
_1 = np.uint64(1)


def band_keys(hashes: np.ndarray, distance: int) -> np.ndarray:
    """Returns the keys of each hash, (n, bands) uint64, one key for each band. Hashes that differ
    in at most `distance` bits have at least one key in common.

    There are (distance + 2) (distance + 1) / 2 bands: 28 for a distance of 6. The number of the
    band is part of the key, so different bands do not share keys.
    """
    keys = np.empty((len(hashes), len(masks := _masks(distance))), np.uint64)
    for band, mask in enumerate(masks):
        keys[:, band] = finalise((hashes & mask) + np.uint64((band + 1) * GOLDEN % 2**64))
    return keys


def _masks(distance: int) -> list[np.uint64]:
    """Splits the 64 bits of a hash into `distance` + 2 chunks, whose sizes differ by at most 1.
    Returns, for each pair of chunks, a mask of the bits of both chunks."""
    assert 0 <= distance <= MAX_DISTANCE, distance
    chunks = distance + 2
    ends = [HASH_BITS * chunk // chunks for chunk in range(chunks + 1)]
    masks = [(1 << end) - (1 << start) for start, end in pairwise(ends)]
    return [np.uint64(one | other) for one, other in combinations(masks, 2)]


def near(first: np.ndarray, second: np.ndarray, distance: int) -> np.ndarray:
    """Returns bool for each i: whether first[i] and second[i] differ in at most `distance` bits."""
    close: np.ndarray = np.bitwise_count(first ^ second) <= distance
    return close


def close_pairs(
    keys: np.ndarray, hashes: np.ndarray, mirrors: np.ndarray, distance: int
) -> tuple[np.ndarray, np.ndarray]:
    """Finds pairs of images that share a key and whose hashes differ in at most `distance` bits.

    Returns the pairs, (k, 2) int64, and the number of bits in which each pair differs, (k,) uint8.
    This number is the lowest of three numbers: for both images as they are, for the first image
    mirrored, and for the second image mirrored. `keys`, `hashes` and `mirrors` (the hashes of the
    mirrored images) are (n,) uint64, sorted by key.

    Several images may have the same two hashes (of the image and of the mirrored image, in either
    order). Then only the first of them is compared, and the others are in no pair: the caller must
    link them to the first. A pair is left out if earlier pairs with at most the same distance
    already connect its two images, directly or by a chain. So if n images share a key, they give at
    most n * (`distance` + 1) pairs. Two compared images that share a key, and whose hashes differ
    in at most `distance` bits, are always connected by these pairs.
    """
    starts, capacity = runs(keys), len(keys)
    while True:
        pairs, distances = np.empty((capacity, 2), np.int64), np.empty(capacity, np.uint8)
        found = _close_pairs(starts, hashes, mirrors, distance, pairs, distances)
        if found <= capacity:
            return pairs[:found], distances[:found]
        capacity = found


@inlined
def _image_distance(
    hash_: np.uint64, mirror: np.uint64, other: np.uint64, other_mirror: np.uint64
) -> np.uint64:
    """Returns the number of bits in which the hashes of two images differ: the lowest of three
    numbers, with the images as they are, with the first image mirrored, and with the second image
    mirrored.

    The second and the third number can differ, because pixels are rounded when an image is reduced.
    """
    return min(popcount(hash_ ^ other), popcount(hash_ ^ other_mirror), popcount(mirror ^ other))


@inlined
def _union(parents: np.ndarray, one: int, other: int) -> bool:
    """Joins the tree that contains the node `one` and the tree that contains the node `other`.
    Returns whether they were two different trees before."""
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
    """Writes the pairs and distances that `close_pairs` returns into `pairs` and `distances`, as
    many as fit. Returns how many pairs there are. The images starts[r] to starts[r + 1] - 1 have
    the same key.

    The hashes of the images with one key are copied into an array, so that a block of them is
    compared with an image in one vectorised loop. The image is compared with each image of the
    block, one by one, only if at least one image of the block is within `distance`.
    """
    found, longest = 0, 0
    for run in range(len(starts) - 1):
        longest = max(longest, starts[run + 1] - starts[run])
    places = np.empty(longest, np.int64)  # entries of the distinct images so far
    known, known_mirrors = np.empty(longest, np.uint64), np.empty(longest, np.uint64)
    close, bits = np.empty(longest, np.int64), np.empty(longest, np.int64)
    # trees[d] connects the images of the pairs with distance d or less
    trees = np.empty((distance + 1, longest), np.int64)
    max_bits = np.uint64(distance)
    for run in range(len(starts) - 1):
        distinct = 0
        for i in range(starts[run], starts[run + 1]):
            hash_, mirror = hashes[i], mirrors[i]
            count, equal = 0, False
            for block in range(0, distinct, _BLOCK):
                end = min(block + _BLOCK, distinct)
                nearest = max_bits + _1
                for k in range(block, end):
                    bits_apart = _image_distance(hash_, mirror, known[k], known_mirrors[k])
                    nearest = min(nearest, bits_apart)
                if nearest > max_bits:
                    continue
                for k in range(block, end):
                    same = hash_ == known[k] and mirror == known_mirrors[k]
                    equal |= same or (hash_ == known_mirrors[k] and mirror == known[k])
                    close[count] = k
                    bits_apart = _image_distance(hash_, mirror, known[k], known_mirrors[k])
                    bits[count] = np.int64(bits_apart)
                    count += bits[count] <= distance
            if equal:
                continue
            trees[:, distinct] = distinct
            for c in range(count):
                if not _union(trees[bits[c]], distinct, close[c]):
                    continue
                for level in range(bits[c] + 1, distance + 1):
                    _union(trees[level], distinct, close[c])
                if found < len(pairs):
                    pairs[found, 0], pairs[found, 1] = places[close[c]], i
                    distances[found] = bits[c]
                found += 1
            places[distinct], known[distinct], known_mirrors[distinct] = i, hash_, mirror
            distinct += 1
    return found
