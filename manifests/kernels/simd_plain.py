"""The operations of `simd` as plain loops, which are slower but written only in Python."""

from __future__ import annotations

import numpy as np

from manifests.kernels.compiling import inlined
from manifests.kernels.popcount import popcount

BLOCK = 64
"""The number of bytes that `lower_block` and `separator_mask` read in one call."""
MINIMA = 32
"""The number of minima that `affine_minima` computes in one call."""

_BITS = 8
_ONE, _32 = np.uint64(1), np.uint64(32)
_LOW_HALF = np.uint64(0xFFFFFFFF)
_LARGEST = np.uint32(0xFFFFFFFF)
_TAB, _RETURN, _SPACE, _A, _Z, _SMALL_A, _SMALL_Z, _0, _9 = b"\t\r AZaz09"
_FILE_SEPARATOR, _NOT_ASCII, _TO_SMALL, _UNDERSCORE = 0x1C, 0x80, 32, 0x5F


@inlined
def load8(source: np.ndarray, at: int) -> np.uint64:
    """Returns the 8 bytes of `source` from position `at` on as one number. The first byte becomes
    the lowest byte of the number."""
    value = np.uint64(0)
    for i in range(8):
        value |= np.uint64(source[at + i]) << np.uint64(_BITS * i)
    return value


@inlined
def store8(target: np.ndarray, at: int, value: np.uint64) -> None:
    """Writes the 8 bytes of a number into `target` from position `at` on, the lowest byte first."""
    for i in range(8):
        target[at + i] = np.uint8(value >> np.uint64(_BITS * i))


@inlined
def lower_block(source: np.ndarray, at: int, target: np.ndarray, to: int) -> np.uint64:
    """Copies 64 bytes and replaces A to Z by a to z: the bytes of `source` from position `at` on
    become the bytes of `target` from position `to` on. Returns a 64-bit number whose bit i is 1 if
    byte i is not ASCII."""
    mask = np.uint64(0)
    for i in range(BLOCK):
        byte = source[at + i]
        mask |= np.uint64(byte >= _NOT_ASCII) << np.uint64(i)
        target[to + i] = byte + _TO_SMALL if _A <= byte <= _Z else byte
    return mask


@inlined
def separator_mask(source: np.ndarray, at: int, by_words: bool) -> np.uint64:
    """Returns a 64-bit number whose bit i is 1 if the byte `source[at + i]` is a separator. If
    `by_words` is false, separators are ASCII whitespace, as in `str.isspace`. If `by_words` is
    true, separators are all ASCII characters except digits and small letters."""
    mask = np.uint64(0)
    for i in range(BLOCK):
        byte = source[at + i]
        word = _SMALL_A <= byte <= _SMALL_Z or _0 <= byte <= _9 or byte >= _NOT_ASCII
        space = _TAB <= byte <= _RETURN or _FILE_SEPARATOR <= byte <= _SPACE
        separates = not word if by_words else space
        mask |= np.uint64(separates) << np.uint64(i)
    return mask


@inlined
def underscore_mask(source: np.ndarray, at: int) -> np.uint64:
    """Returns a 64-bit number whose bit i is 1 if the byte `source[at + i]` is an underscore."""
    mask = np.uint64(0)
    for i in range(BLOCK):
        mask |= np.uint64(source[at + i] == _UNDERSCORE) << np.uint64(i)
    return mask


@inlined
def count_bits(mask: np.uint64) -> int:
    """Returns how many bits of `mask` are set."""
    return int(popcount(mask))


@inlined
def lowest_bit(mask: np.uint64) -> int:
    """Returns the index of the lowest bit that is set; 64 if no bit is set."""
    below = ~mask & (mask - _ONE)
    return int(count_bits(below))


@inlined
def upper_product(a: np.uint64, b: np.uint64) -> np.uint64:
    """Returns the upper 64 bits of the 128-bit product of two numbers; the lower 64 bits are
    `a * b`."""
    low_a, high_a, low_b, high_b = a & _LOW_HALF, a >> _32, b & _LOW_HALF, b >> _32
    first = low_a * high_b + (low_a * low_b >> _32)
    second = high_a * low_b + (first & _LOW_HALF)
    return high_a * high_b + (first >> _32) + (second >> _32)


@inlined
def affine_minima(
    hashes: np.ndarray, count: int, a: np.ndarray, b: np.ndarray, first: int, minima: np.ndarray
) -> None:
    """Computes 32 values of a MinHash signature. For the 32 values of k from `first` on, minima[k]
    becomes the minimum of a[k] * h + b[k] modulo 2^32 over the first `count` hashes h; 2^32 - 1 if
    `count` is 0."""
    for k in range(first, first + MINIMA):
        smallest = _LARGEST
        for i in range(count):
            smallest = min(smallest, np.uint32(a[k] * hashes[i] + b[k]))
        minima[k] = smallest
