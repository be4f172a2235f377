"""HyperLogLog registers, from which the number of distinct hashes can be estimated.

The registers are equal to those of datasketch's `HyperLogLogPlusPlus`, bit for bit. The lower p
bits of a hash choose one of 2^p registers. The leading zeros of the other bits are counted. A
register has the highest count among its hashes, plus one (Flajolet et al. 2007; with 64-bit hashes:
Heule et al. 2013).
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numba import int64, uint8, uint32, uint64, void

from manifests.kernels.compiling import BYTES, OFFSETS, buffers, compiled, inlined
from manifests.kernels.mixing import mixed
from manifests.kernels.shingles import WORDS, shingles
from manifests.kernels.simd import count_bits

_ONE, _32 = np.uint64(1), np.uint64(32)
_FNV_BASIS, _FNV_PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)


def add(registers: np.ndarray, hashes: np.ndarray) -> None:
    """Updates 2^p HyperLogLog registers (uint8) in place, so that the number that they estimate
    includes the hashes (uint64)."""
    _add(np.ascontiguousarray(hashes), registers)


def add_ngrams(registers: np.ndarray, texts: pa.Array, n: int) -> None:
    """Updates HyperLogLog registers in place, so that the number that they estimate includes the
    word n-grams of the texts; n is 2 or more."""
    offsets, windows = shingles(texts, WORDS, n - 1, distinct=False)
    _add_pairs(offsets, windows, registers)


def string_hashes(strings: pa.Array, numbers: np.ndarray) -> np.ndarray:
    """Returns (strings,) uint64: for each i, a hash of strings[i] and numbers[i] (uint64). The hash
    of a null string is undefined: the caller must ignore it."""
    hashes = np.empty(len(strings), np.uint64)
    _hash_strings(*buffers(strings), numbers, hashes)
    return hashes


@inlined
def _add_one(registers: np.ndarray, p: np.uint64, hashed: np.uint64) -> None:
    chosen, rest = hashed & (_ONE << p) - _ONE, hashed >> p
    for shift in (1, 2, 4, 8, 16, 32):  # set all bits below the highest set bit
        rest |= rest >> np.uint64(shift)
    zeros = np.int64(64) - np.int64(p) - count_bits(rest)
    registers[chosen] = max(registers[chosen], np.uint8(zeros + 1))


@compiled(void(uint64[::1], uint8[::1]))
def _add(hashes: np.ndarray, registers: np.ndarray) -> None:
    p = np.uint64(count_bits(np.uint64(len(registers) - 1)))
    for hashed in hashes:
        _add_one(registers, p, hashed)


@compiled(void(int64[::1], uint32[::1], uint8[::1]))
def _add_pairs(offsets: np.ndarray, windows: np.ndarray, registers: np.ndarray) -> None:
    """Updates the registers with the word n-grams of texts. `windows` has a 32-bit hash of every n
    - 1 successive words; text i has the hashes windows[offsets[i] : offsets[i + 1]].

    An n-gram is identified by two hashes, of its first n - 1 words and of its last n - 1 words,
    because a single hash of 32 bits has only 4 * 10^9 values.
    """
    p = np.uint64(count_bits(np.uint64(len(registers) - 1)))
    for row in range(len(offsets) - 1):
        for at in range(offsets[row], offsets[row + 1] - 1):
            both = np.uint64(windows[at]) << _32 | np.uint64(windows[at + 1])
            _add_one(registers, p, mixed(both))


@compiled(void(OFFSETS, BYTES, uint64[::1], uint64[::1]))
def _hash_strings(
    offsets: np.ndarray, data: np.ndarray, numbers: np.ndarray, hashes: np.ndarray
) -> None:
    for row in range(len(hashes)):
        hashed = _FNV_BASIS
        for at in range(offsets[row], offsets[row + 1]):
            hashed = (hashed ^ np.uint64(data[at])) * _FNV_PRIME
        hashes[row] = mixed(hashed ^ mixed(numbers[row]))
