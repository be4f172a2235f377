"""Splits a text into words and signs (`manifests.text.token_classes`) and hashes each of them;
called by compiled loops."""

from __future__ import annotations

import numpy as np
from numba import types, uint32

from manifests.kernels.compiling import inlined
from manifests.text.token_classes import ALONE, CLASS_BIT, WHITESPACE

TABLE = types.Array(uint32, 1, "C", readonly=True)

_LOWER, _CLASS = np.uint32((1 << CLASS_BIT) - 1), np.uint32(CLASS_BIT)
_ALONE, _WHITESPACE = np.uint32(ALONE), np.uint32(WHITESPACE)
_BASIS, _PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
"""The constants of the hash FNV-1a, here computed over code points instead of bytes."""
_MIX_1, _MIX_2 = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)
_33 = np.uint64(33)


@inlined
def hash_class_tokens(points: np.ndarray, table: np.ndarray, hashes: np.ndarray) -> int:
    """Writes a 64-bit hash of each token of a text into `hashes`, which must have one element more
    than the text has code points. Returns the number of tokens.

    The hash of the unfinished token is written after each character, and overwritten until the
    token ends. This is faster than a branch that writes it only at the end of the token.
    """
    count, kind, hashed = 0, _WHITESPACE, _BASIS
    for point in points:
        entry = table[point]
        new = entry >> _CLASS
        edge = (new != kind) | (new == _ALONE)
        count += edge & (kind != _WHITESPACE)
        hashed = _BASIS if edge else hashed
        hashed = (hashed ^ np.uint64(entry & _LOWER)) * _PRIME
        hashes[count] = hashed
        kind = new
    return count + int(kind != _WHITESPACE)


@inlined
def finalised(hashed: np.uint64) -> np.uint64:
    """Mixes the bits of a hash with fmix64, the last step of MurmurHash3."""
    hashed = (hashed ^ hashed >> _33) * _MIX_1
    hashed = (hashed ^ hashed >> _33) * _MIX_2
    return hashed ^ hashed >> _33
