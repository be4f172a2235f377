r"""Hashed n-grams of texts, for importance weights: DSIR, Xie et al. 2023 (arXiv 2302.03169).

The tokens of a text are those of `\w+|[^\w\s]+` in lower case. Its features are all tokens and all
pairs of neighbouring tokens; each falls into one of the buckets by a hash. The reference takes
SHA-256 as the hash; ours is faster, so the numbers of buckets differ.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numba import float64, int32, int64, types, uint32, uint64, void

from manifests.kernels.class_tokens import TABLE, finalised, hash_class_tokens
from manifests.kernels.compiling import BYTES, OFFSETS, buffers, compiled, inlined, longest
from manifests.kernels.decoding import decode
from manifests.text.token_classes import words_and_punctuation

_32 = np.uint64(32)
_TURN = np.uint64(0x9E3779B97F4A7C15)
"""2^64 / golden ratio: sets the first token of a pair apart from the second."""


def bucket_counts(texts: pa.Array, buckets: int) -> np.ndarray:
    """Returns (buckets,) int64: how many features of all texts are in each bucket."""
    counts = np.zeros(buckets, np.int64)
    offsets, data = buffers(texts)
    _count(offsets, data, words_and_punctuation(), *_scratch(offsets), counts)
    return counts


def bucket_scores(texts: pa.Array, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns for each text the sum of the values of the buckets of its features, float64, and how
    many tokens it has, int32. `values` (buckets,) float64 has a value for each bucket."""
    offsets, data = buffers(texts)
    scores, tokens = np.empty(len(texts), np.float64), np.empty(len(texts), np.int32)
    given = np.ascontiguousarray(values, np.float64)
    _score(offsets, data, words_and_punctuation(), *_scratch(offsets), given, scores, tokens)
    return scores, tokens


def _scratch(offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    size = longest(offsets)
    return np.empty(size, np.uint32), np.empty(size + 1, np.uint64)


@inlined
def _bucket(hashed: np.uint64, buckets: np.uint64) -> np.uint64:
    return np.uint64((finalised(hashed) >> _32) * buckets >> _32)


@inlined
def _pair(first: np.uint64, second: np.uint64) -> np.uint64:
    return first * _TURN + second


@compiled(void(OFFSETS, BYTES, TABLE, uint32[::1], uint64[::1], int64[::1]))
def _count(
    offsets: np.ndarray,
    data: np.ndarray,
    table: np.ndarray,
    points: np.ndarray,
    hashes: np.ndarray,
    counts: np.ndarray,
) -> None:
    buckets = np.uint64(len(counts))
    for row in range(len(offsets) - 1):
        length = decode(data[offsets[row] : offsets[row + 1]], points)
        found = hash_class_tokens(points[:length], table, hashes)
        for i in range(found):
            counts[_bucket(hashes[i], buckets)] += 1
        for i in range(found - 1):
            counts[_bucket(_pair(hashes[i], hashes[i + 1]), buckets)] += 1


_VALUES = types.Array(float64, 1, "C", readonly=True)


@compiled(void(OFFSETS, BYTES, TABLE, uint32[::1], uint64[::1], _VALUES, float64[::1], int32[::1]))
def _score(
    offsets: np.ndarray,
    data: np.ndarray,
    table: np.ndarray,
    points: np.ndarray,
    hashes: np.ndarray,
    values: np.ndarray,
    scores: np.ndarray,
    tokens: np.ndarray,
) -> None:
    buckets = np.uint64(len(values))
    for row in range(len(scores)):
        length = decode(data[offsets[row] : offsets[row + 1]], points)
        found = hash_class_tokens(points[:length], table, hashes)
        alone, pairs = 0.0, 0.0
        for i in range(found):
            alone += values[_bucket(hashes[i], buckets)]
        for i in range(found - 1):
            pairs += values[_bucket(_pair(hashes[i], hashes[i + 1]), buckets)]
        scores[row], tokens[row] = alone + pairs, found
