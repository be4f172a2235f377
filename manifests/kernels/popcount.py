"""Counts the bits of a 64-bit number that are set."""

from __future__ import annotations

from typing import Any

import numpy as np

from manifests.kernels.compiling import inlined

_1, _2, _4, _56 = np.uint64(1), np.uint64(2), np.uint64(4), np.uint64(56)
_ODD, _PAIRS = np.uint64(0x5555555555555555), np.uint64(0x3333333333333333)
_NIBBLES, _BYTES = np.uint64(0x0F0F0F0F0F0F0F0F), np.uint64(0x0101010101010101)


@inlined
def popcount(word: Any) -> Any:
    """Returns how many bits of a uint64 are set, as uint64: popcount(0b1011) -> 3.

    Source: Hacker's Delight, section 5-1. Compilers replace this code by one instruction.
    """
    word = word - ((word >> _1) & _ODD)
    word = (word & _PAIRS) + ((word >> _2) & _PAIRS)
    return (((word + (word >> _4)) & _NIBBLES) * _BYTES) >> _56
