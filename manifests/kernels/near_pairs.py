"""Counts pairs of similar images by the number of bits in which their hashes differ, and draws
sample pairs for each number of bits."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import float64, int64, types, uint64, void

from manifests.kernels.compiling import compiled
from manifests.kernels.look_alike import LOOKS, Looks, alike, image_bits


class NearPairs(NamedTuple):
    """The similar pairs among many images, by the number of bits in which their hashes differ, from
    0 to `max_bits` inclusive.

    `pairs` (max_bits + 1,) int64: pairs[b] is the number of pairs that differ in b bits. `alike`
    (max_bits + 1,) int64: in how many of these pairs the colours of the two images differ by at
    most a given number of levels. `sampled`: for each b, a sample of the pairs, (k, 2) int64
    numbers of images.
    """

    pairs: np.ndarray
    alike: np.ndarray
    sampled: list[np.ndarray]


def near_pairs(
    images: Looks, keys: np.ndarray, max_bits: int, colour_distance: float, each: int
) -> NearPairs:
    """Compares every two images. Returns, for each number of bits from 0 to `max_bits` inclusive:
    how many pairs of images have hashes that differ in this number of bits; in how many of these
    pairs the small colour images (8 x 8 pixels) differ by at most `colour_distance` levels of 0 to
    255; and a sample of at most `each` of the pairs.

    `keys` (m,) uint64 has a random key of each image: the pairs with the lowest XOR of their two
    keys are sampled, so the sample does not depend on the order of the images.
    """
    counts = np.zeros((2, max_bits + 1), np.int64)
    sampled = np.zeros((max_bits + 1, max(each, 1), 2), np.int64)
    ranks = np.full((max_bits + 1, max(each, 1)), np.iinfo(np.uint64).max, np.uint64)
    _near_pairs(images, keys, colour_distance, counts, sampled, ranks)
    lengths = np.minimum(counts[0], each)
    rows = [some[:length] for some, length in zip(sampled, lengths.tolist(), strict=True)]
    return NearPairs(counts[0], counts[1], rows)


_KEYS = types.Array(uint64, 1, "C", readonly=True)


@compiled(void(LOOKS, _KEYS, float64, int64[:, ::1], int64[:, :, ::1], uint64[:, ::1]))
def _near_pairs(
    images: Looks,
    keys: np.ndarray,
    colour_distance: float,
    counts: np.ndarray,
    sampled: np.ndarray,
    ranks: np.ndarray,
) -> None:
    max_bits, each = counts.shape[1] - 1, ranks.shape[1]
    for one in range(len(images.words)):
        for other in range(one + 1, len(images.words)):
            bits = image_bits(images.words, one, other)
            if bits > max_bits:
                continue
            counts[0, bits] += 1
            counts[1, bits] += alike(images, one, other, colour_distance)
            rank = keys[one] ^ keys[other]
            place = each  # the ranks of a distance are ascending
            while place > 0 and rank < ranks[bits, place - 1]:
                place -= 1
                if place + 1 < each:
                    ranks[bits, place + 1] = ranks[bits, place]
                    sampled[bits, place + 1] = sampled[bits, place]
            if place < each:
                ranks[bits, place] = rank
                sampled[bits, place, 0], sampled[bits, place, 1] = one, other
