"""MinHash signatures of texts, and hashes of their bands.

A signature has one value for each permutation of the 32-bit numbers: the lowest of the permuted
hashes of the set. The number of positions at which two signatures have the same value, divided by
the number of values of a signature, estimates the Jaccard similarity of the sets (Broder 1997). The
permutations are those of the scheme "affine32" of datasketch 2.0, h -> a * fmix32(h) + b modulo
2^32, where a is odd and fmix32 is the finalizer of MurmurHash3. For the same hashes, datasketch and
this module give the same signatures, bit for bit.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numba import int64, uint32, uint64, void

from manifests.kernels.compiling import compiled, inlined
from manifests.kernels.hash_set import HASHES, SET_OFFSETS
from manifests.kernels.shingles import in_blocks
from manifests.kernels.simd import MINIMA, affine_minima

_BLOCK_BYTES = 1 << 20
"""Number of bytes of texts in a block, so that their shingles fit a core's cache (our choice)."""
_BITS = 128

_13, _16, _MIX_1, _MIX_2 = (np.uint32(x) for x in (13, 16, 0x85EBCA6B, 0xC2B2AE35))
_32, _31 = np.uint64(32), np.uint32(31)
_TURN = np.uint32(0x9E3779B1)
"""The factor of Knuth's multiplicative hash: the prime nearest to 2^32 / golden ratio."""
_BAND, _STEP = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)
"""Odd 64-bit constants for the hashes of bands, both taken from splitmix64 (Steele et al. 2014)."""


class Scheme(NamedTuple):
    """The settings of MinHash: how a text becomes a set of n-grams, and the length of its
    signature.

    `tokens`: WORDS, WHITESPACE or CHARACTERS of `shingles`; `n`: tokens in an n-gram. A signature
    has `permutations` values. The first bands * rows values are split into bands of `rows` values.
    """

    tokens: int
    n: int
    permutations: int
    bands: int
    rows: int
    seed: int = 1


class Sketches(NamedTuple):
    """What `sketch` returns for a column of texts: hashes of each text and of the bands of its
    signature, one bit of each value of the signature, and the signature itself.

    A text that has only whitespace is not `present`. Its signature is that of the empty set: every
    value is 2^32 - 1. So all such texts have equal bands.
    """

    present: np.ndarray
    """(texts,) bool: whether the text contains any character that is not whitespace."""
    identity: np.ndarray
    """(texts, 2) uint64: a 128-bit hash of the tokens in order; zeros if not present."""
    bands: np.ndarray
    """(texts, bands) uint64: a hash of each band."""
    bits: np.ndarray
    """(texts, 2) uint64: one bit of each of the first 128 values of a signature; the lowest bit is
    that of the first value. Bits of values that a shorter signature lacks are zero (b-bit minwise
    hashing with b = 1, Li and König 2010)."""
    signatures: np.ndarray | None
    """(texts, permutations) uint32: the signatures; None if `sketch` was called with `signatures`
    false."""


def sketch(texts: pa.Array, scheme: Scheme, signatures: bool = False) -> Sketches:
    """Computes for each text of a column: a hash of its tokens, its MinHash signature, a hash of
    each band of the signature, and one bit of each value of the signature. The texts are processed
    in blocks, so little memory is needed besides the results. `signatures`: whether the result
    contains the signatures too."""
    assert scheme.bands * scheme.rows <= scheme.permutations, scheme
    rows = len(texts)
    present, identity = np.empty(rows, bool), np.empty((rows, 2), np.uint64)
    bands, bits = np.empty((rows, scheme.bands), np.uint64), np.empty((rows, 2), np.uint64)
    signed = np.empty((rows if signatures else 0, scheme.permutations), np.uint32)
    settings, start = (scheme.permutations, scheme.seed, scheme.rows), 0
    for block in in_blocks(texts, scheme.tokens, scheme.n, False, _BLOCK_BYTES):
        some = slice(start, start + len(block.identity))
        present[some] = block.offsets[1:] > block.offsets[:-1]
        identity[some] = block.identity
        outputs = bands[some], bits[some], signed[some]
        _sign_sets(block.hashes, block.offsets, *settings, *outputs)
        start = some.stop
    return Sketches(present, identity, bands, bits, signed if signatures else None)


def signatures_of(
    hashes: np.ndarray, offsets: np.ndarray, permutations: int, seed: int = 1
) -> np.ndarray:
    """Returns the MinHash signature of each set of hashes, (sets, permutations) uint32. Set i is
    `hashes[offsets[i] : offsets[i + 1]]`.

    `datasketch.MinHash(permutations, seed)` gives the same signatures for the same hashes.
    """
    signatures = np.empty((len(offsets) - 1, permutations), np.uint32)
    unused = np.empty((0, 0), np.uint64)
    _sign_sets(hashes, offsets, permutations, seed, 0, unused, unused, signatures)
    return signatures


def bands_of(signatures: np.ndarray, bands: int, rows: int) -> np.ndarray:
    """Returns (sets, bands) uint64: a hash of each band of each signature. Band i has the values i
    * rows to (i + 1) * rows - 1 of the signature.

    The hash of each band starts from a different number, and each step is one-to-one. So two
    different bands with the same values never have the same hash.
    """
    assert bands * rows <= signatures.shape[1], (bands, rows, signatures.shape)
    values = signatures[:, : bands * rows].reshape(len(signatures), bands, rows)
    with np.errstate(over="ignore"):
        starts = np.arange(1, bands + 1, dtype=np.uint64) * _BAND
        keys = np.tile(starts, (len(signatures), 1))
        for row in range(rows):
            keys = (keys ^ values[:, :, row]) * _STEP
            keys ^= keys >> _32
    return keys


def bits_of(signatures: np.ndarray) -> np.ndarray:
    """Returns one bit of each of the first 128 values of each signature, (sets, 2) uint64; 0 for
    values that a shorter signature lacks.

    Each bit is the highest bit of the value times a constant. The lowest bit of the value cannot be
    used, because it is the lowest bit of the shingle's hash, and a permutation flips it for all
    shingles or for no shingle. So two shingles would differ in this bit under all permutations or
    under none.
    """
    some = np.zeros((len(signatures), _BITS), np.uint8)
    with np.errstate(over="ignore"):
        some[:, : signatures.shape[1]] = signatures[:, :_BITS] * _TURN >> _31
    bits: np.ndarray = np.packbits(some, axis=1, bitorder="little").view("<u8")
    return bits


@lru_cache(maxsize=8)
def permutations_of(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the factors a (odd) and the terms b of `count` permutations h -> a * h + b: two
    arrays, (count,) uint32. They are drawn in the order of datasketch."""
    draw = np.random.RandomState(seed)
    a = draw.randint(0, 1 << 31, count, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    return a, draw.randint(0, 1 << 32, count, dtype=np.uint32)


@lru_cache(maxsize=8)
def _padded_permutations(permutations: int, seed: int) -> list[np.ndarray]:
    """Returns the factors a and the terms b of `permutations` permutations h -> a * h + b. Zeros
    are added to both arrays until their length is a multiple of MINIMA, because MINIMA values of a
    signature are computed at once."""
    padding = 0, -permutations % MINIMA
    return [np.pad(drawn, padding) for drawn in permutations_of(permutations, seed)]


def _sign_sets(
    hashes: np.ndarray,
    offsets: np.ndarray,
    permutations: int,
    seed: int,
    rows: int,
    bands: np.ndarray,
    bits: np.ndarray,
    signatures: np.ndarray,
) -> None:
    """Computes the signature of each set of hashes, and fills the arrays `bands`, `bits` and
    `signatures`. An array of length 0 is not filled. Set i is hashes[offsets[i] : offsets[i + 1]];
    `rows` is the number of values in a band."""
    a, b = _padded_permutations(permutations, seed)
    mixed = np.empty(int(np.diff(offsets).max(initial=0)), np.uint32)
    values = np.zeros(max(len(a), _BITS), np.uint32)
    scratch = a, b, mixed, values
    _sign(hashes, offsets, *scratch, permutations, rows, bands, bits, signatures)


@inlined
def _mix(hashes: np.ndarray, mixed: np.ndarray) -> None:
    """Writes the finalizer of MurmurHash3 (fmix32) of each hash into `mixed`. In numba the product
    of two uint32 is a uint64, so each product is reduced to 32 bits."""
    for i in range(len(hashes)):
        value = hashes[i]
        value = np.uint32((value ^ value >> _16) * _MIX_1)
        value = np.uint32((value ^ value >> _13) * _MIX_2)
        mixed[i] = value ^ value >> _16


@inlined
def _hash_bands(values: np.ndarray, rows: int, keys: np.ndarray) -> None:
    """Writes a hash of each band of one signature into `keys`. The loop takes the first value of
    every band, then the second value of every band, and so on: the bands do not depend on each
    other, so the processor can compute them in parallel."""
    for band in range(len(keys)):
        keys[band] = np.uint64(band + 1) * _BAND
    for row in range(rows):
        for band in range(len(keys)):
            key = (keys[band] ^ np.uint64(values[band * rows + row])) * _STEP
            keys[band] = key ^ key >> _32


@inlined
def _take_bits(values: np.ndarray, bits: np.ndarray) -> None:
    """Writes one bit of each of the first 128 values of a signature into `bits`: the highest bit of
    the value times a constant."""
    for half in range(2):
        taken = np.uint64(0)
        for i in range(64):
            turned = np.uint32(values[64 * half + i] * _TURN) >> _31
            taken |= np.uint64(turned) << np.uint64(i)
        bits[half] = taken


_WORDS, _KEYS = uint32[::1], uint64[:, ::1]


@compiled(
    void(
        HASHES,
        SET_OFFSETS,
        *(_WORDS, _WORDS, _WORDS, _WORDS),
        *(int64, int64),
        *(_KEYS, _KEYS, uint32[:, ::1]),
    )
)
def _sign(
    hashes: np.ndarray,
    offsets: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    mixed: np.ndarray,
    values: np.ndarray,
    permutations: int,
    rows: int,
    bands: np.ndarray,
    bits: np.ndarray,
    signatures: np.ndarray,
) -> None:
    for i in range(len(offsets) - 1):
        own = hashes[offsets[i] : offsets[i + 1]]
        _mix(own, mixed)
        for first in range(0, len(a), MINIMA):
            affine_minima(mixed, len(own), a, b, first, values)
        for k in range(permutations, len(values)):
            values[k] = 0
        if len(bands) > 0:
            _hash_bands(values, rows, bands[i])
        if len(bits) > 0:
            _take_bits(values, bits[i])
        if len(signatures) > 0:
            for k in range(permutations):
                signatures[i, k] = values[k]
