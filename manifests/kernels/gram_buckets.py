r"""Hashes the tokens of texts and their pairs into buckets, for the weights of DSIR (Xie et al.
2023, arXiv 2302.03169).

The tokens of a text are the matches of `\w+|[^\w\s]+` in lower case. Its features are all tokens
and all pairs of neighbouring tokens; a hash puts each feature into a bucket. The authors' code
hashes with SHA-256; the hash here is faster, and puts features into other buckets than SHA-256.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numba import float64, int32, int64, types, uint8, uint32, uint64, void

from manifests.kernels.compiling import BYTES, OFFSETS, buffers, compiled, inlined, longest
from manifests.kernels.pattern_tokens import GROWTH, find_pattern_tokens
from manifests.kernels.simd import BLOCK
from manifests.kernels.tokens import FIRST, hash_tokens, write_lower
from manifests.text.token_classes import pattern_encodings

_32 = np.uint64(32)
_TURN = np.uint64(0x9E3779B97F4A7C15)
"""2^64 / golden ratio: a factor that mixes bits, and makes the pairs (a, b) and (b, a) differ."""


class _Scratch(NamedTuple):
    """The table `pattern_encodings` as `encodings`, and arrays that are overwritten for each text.
    `text`: the text in lower case. `edges`: where its tokens start and end. `hashes`: a hash of
    each token."""

    encodings: np.ndarray
    text: np.ndarray
    edges: np.ndarray
    hashes: np.ndarray


_SCRATCH = types.NamedTuple(
    (types.Array(uint64, 1, "C", readonly=True), uint8[::1], uint32[::1], uint64[::1]), _Scratch
)


def bucket_counts(texts: pa.Array, buckets: int) -> np.ndarray:
    """Returns (buckets,) int64: how many features of all texts are in each bucket."""
    counts = np.zeros(buckets, np.int64)
    offsets, data = buffers(texts)
    _count(offsets, data, _scratch(longest(offsets)), counts)
    return counts


def bucket_scores(texts: pa.Array, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the score (float64) and the number of tokens (int32) of each text. `values`,
    (buckets,) float64, has a value for each bucket; the score is the sum of the values over all
    features of the text."""
    offsets, data = buffers(texts)
    scores, tokens = np.empty(len(texts), np.float64), np.empty(len(texts), np.int32)
    given = np.ascontiguousarray(values, np.float64)
    _score(offsets, data, _scratch(longest(offsets)), given, scores, tokens)
    return scores, tokens


def _scratch(size: int) -> _Scratch:
    encodings = pattern_encodings()
    encodings.flags.writeable = False
    text = np.empty(FIRST + GROWTH * size + 2 * BLOCK, np.uint8)
    return _Scratch(encodings, text, np.empty(2 * size + 2, np.uint32), np.empty(size, np.uint64))


@inlined
def _tokenise(data: np.ndarray, start: int, end: int, scratch: _Scratch) -> int:
    """Writes a hash of each token of a text into `scratch.hashes`. The text is the bytes `start` to
    `end` - 1 of `data`. Returns the number of tokens."""
    written = write_lower(data, start, end, scratch.encodings, scratch.text)
    found = int(find_pattern_tokens(scratch.text, written, scratch.edges))
    hash_tokens(scratch.text, scratch.edges, found, scratch.hashes)
    return found


@inlined
def _bucket(hashed: np.uint64, buckets: np.uint64) -> np.uint64:
    return np.uint64((hashed >> _32) * buckets >> _32)


@inlined
def _pair(first: np.uint64, second: np.uint64) -> np.uint64:
    mixed = (first ^ first >> _32) * _TURN + second
    return (mixed ^ mixed >> _32) * _TURN


@compiled(void(OFFSETS, BYTES, _SCRATCH, int64[::1]))
def _count(offsets: np.ndarray, data: np.ndarray, scratch: _Scratch, counts: np.ndarray) -> None:
    buckets, hashes = np.uint64(len(counts)), scratch.hashes
    for row in range(len(offsets) - 1):
        found = _tokenise(data, offsets[row], offsets[row + 1], scratch)
        for i in range(found):
            counts[_bucket(hashes[i], buckets)] += 1
        for i in range(found - 1):
            counts[_bucket(_pair(hashes[i], hashes[i + 1]), buckets)] += 1


_VALUES = types.Array(float64, 1, "C", readonly=True)


@compiled(void(OFFSETS, BYTES, _SCRATCH, _VALUES, float64[::1], int32[::1]))
def _score(
    offsets: np.ndarray,
    data: np.ndarray,
    scratch: _Scratch,
    values: np.ndarray,
    scores: np.ndarray,
    tokens: np.ndarray,
) -> None:
    buckets, hashes = np.uint64(len(values)), scratch.hashes
    for row in range(len(scores)):
        found = _tokenise(data, offsets[row], offsets[row + 1], scratch)
        alone, pairs = 0.0, 0.0
        for i in range(found):
            alone += values[_bucket(hashes[i], buckets)]
        for i in range(found - 1):
            pairs += values[_bucket(_pair(hashes[i], hashes[i + 1]), buckets)]
        scores[row], tokens[row] = alone + pairs, found
