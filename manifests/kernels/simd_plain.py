"""The operations of `simd` as plain loops: slower, but in Python alone."""

from __future__ import annotations

import numpy as np

from manifests.kernels.compiling import inlined
from manifests.kernels.popcount import popcount

BLOCK = 64
"""Bytes that one operation reads."""
MINIMA = 32
"""Minima that one operation makes."""

_BITS = 8
_ONE, _32 = np.uint64(1), np.uint64(32)
_LOW_HALF = np.uint64(0xFFFFFFFF)
_LARGEST = np.uint32(0xFFFFFFFF)
_TAB, _RETURN, _SPACE, _A, _Z, _SMALL_A, _SMALL_Z, _0, _9 = b"\t\r AZaz09"
_FILE_SEPARATOR, _NOT_ASCII, _TO_SMALL = 0x1C, 0x80, 32


@inlined
def load8(source: np.ndarray, at: int) -> np.uint64:
    """The 8 bytes of `source` from `at` on as one number, the first byte lowest."""
    value = np.uint64(0)
    for i in range(8):
        value |= np.uint64(source[at + i]) << np.uint64(_BITS * i)
    return value


@inlined
def store8(target: np.ndarray, at: int, value: np.uint64) -> None:
    """Write a number as 8 bytes of `target` from `at` on, the lowest byte first."""
    for i in range(8):
        target[at + i] = np.uint8(value >> np.uint64(_BITS * i))


@inlined
def lower_block(source: np.ndarray, at: int, target: np.ndarray, to: int) -> np.uint64:
    """Copy 64 bytes with A to Z made a to z; returns the mask of those that are not ASCII."""
    mask = np.uint64(0)
    for i in range(BLOCK):
        byte = source[at + i]
        mask |= np.uint64(byte >= _NOT_ASCII) << np.uint64(i)
        target[to + i] = byte + _TO_SMALL if _A <= byte <= _Z else byte
    return mask


@inlined
def separator_mask(source: np.ndarray, at: int, by_words: bool) -> np.uint64:
    """The mask of those of 64 bytes that separate: ASCII whitespace as `str.isspace` has it, or,
    between words, ASCII that is neither a digit nor a small letter."""
    mask = np.uint64(0)
    for i in range(BLOCK):
        byte = source[at + i]
        word = _SMALL_A <= byte <= _SMALL_Z or _0 <= byte <= _9 or byte >= _NOT_ASCII
        space = _TAB <= byte <= _RETURN or _FILE_SEPARATOR <= byte <= _SPACE
        separates = not word if by_words else space
        mask |= np.uint64(separates) << np.uint64(i)
    return mask


@inlined
def count_bits(mask: np.uint64) -> int:
    """How many bits are set."""
    return int(popcount(mask))


@inlined
def lowest_bit(mask: np.uint64) -> int:
    """The number of the lowest bit that is set; 64 if none is."""
    below = ~mask & (mask - _ONE)
    return int(count_bits(below))


@inlined
def upper_product(a: np.uint64, b: np.uint64) -> np.uint64:
    """The upper 64 bits of the 128-bit product of two numbers; the lower are `a * b`."""
    low_a, high_a, low_b, high_b = a & _LOW_HALF, a >> _32, b & _LOW_HALF, b >> _32
    first = low_a * high_b + (low_a * low_b >> _32)
    second = high_a * low_b + (first & _LOW_HALF)
    return high_a * high_b + (first >> _32) + (second >> _32)


@inlined
def affine_minima(
    hashes: np.ndarray, count: int, a: np.ndarray, b: np.ndarray, first: int, minima: np.ndarray
) -> None:
    """For the 32 values of k from `first` on, minima[k] = the minimum of a[k] * h + b[k] modulo
    2^32 over the first `count` hashes h; 2^32 - 1 if there are none."""
    for k in range(first, first + MINIMA):
        smallest = _LARGEST
        for i in range(count):
            smallest = min(smallest, np.uint32(a[k] * hashes[i] + b[k]))
        minima[k] = smallest
