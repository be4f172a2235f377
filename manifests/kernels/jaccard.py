"""Jaccard similarity of two sets of hashes: exact, and estimated from MinHash signatures."""

from __future__ import annotations

import numpy as np
from numba import float32, int64, types, uint64, void

from manifests.kernels.compiling import compiled
from manifests.kernels.hash_set import HASHES, SET_OFFSETS, empty_slots, put, slot_bits, slot_of

_PAIRS = types.Array(int64, 2, "C", readonly=True)
_PAIRS_AT_ONCE = 4096
_NONE, _ONE, _32 = np.uint64(0), np.uint64(1), np.uint64(32)


def jaccard(pairs: np.ndarray, offsets: np.ndarray, hashes: np.ndarray) -> np.ndarray:
    """Returns the exact Jaccard similarity of pairs of sets, float32; 1 for two empty sets.

    `pairs` is (k, 2) int64: the numbers of the sets. Set i is hashes[offsets[i] : offsets[i + 1]],
    distinct uint32. The function is fastest if pairs with the same first set follow one another.
    jaccard([[0, 1]], [0, 3, 5], [1, 2, 3, 2, 3]) -> [2/3].
    """
    similarity = np.empty(len(pairs), np.float32)
    sizes = np.diff(offsets)
    slots = empty_slots(int(sizes[pairs[:, 0]].max(initial=0)))
    _measure(np.ascontiguousarray(pairs), offsets, hashes, slots, similarity)
    return similarity


def agreement(pairs: np.ndarray, signatures: np.ndarray) -> np.ndarray:
    """Returns the Jaccard similarity of pairs of sets, float32, estimated from their signatures.

    The estimate is the number of positions at which both signatures have the same value, divided by
    the number of values of a signature. `pairs` is (k, 2) int64, `signatures` is (sets,
    permutations) uint32. agreement([[0, 1]], [[5, 7], [5, 8]]) -> [0.5].
    """
    shares = np.empty(len(pairs), np.float32)
    for start in range(0, len(pairs), _PAIRS_AT_ONCE):
        one, two = signatures[pairs[start : start + _PAIRS_AT_ONCE].T]
        agreeing = np.count_nonzero(one == two, axis=1)
        shares[start : start + _PAIRS_AT_ONCE] = agreeing / signatures.shape[1]
    return shares


@compiled(void(_PAIRS, SET_OFFSETS, HASHES, uint64[::1], float32[::1]))
def _measure(
    pairs: np.ndarray,
    offsets: np.ndarray,
    hashes: np.ndarray,
    slots: np.ndarray,
    similarity: np.ndarray,
) -> None:
    first, number, bits = -1, _NONE, 0
    for i in range(len(similarity)):
        one = hashes[offsets[pairs[i, 0]] : offsets[pairs[i, 0] + 1]]
        two = hashes[offsets[pairs[i, 1]] : offsets[pairs[i, 1] + 1]]
        if pairs[i, 0] != first:
            first, number, bits = pairs[i, 0], number + _ONE, slot_bits(len(one))
            for hashed in one:
                put(slots, bits, number, hashed)
        common = 0
        for hashed in two:
            entry = number << _32 | np.uint64(hashed)
            common += slots[slot_of(slots, bits, entry)] == entry
        union = len(one) + len(two) - common
        similarity[i] = common / union if union > 0 else 1
