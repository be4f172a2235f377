"""Spreads every bit of a number over all bits of the result; called by compiled loops."""

from __future__ import annotations

import numpy as np

from manifests.kernels.compiling import inlined

_33 = np.uint64(33)
_FIRST, _SECOND = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)


@inlined
def mixed(value: np.uint64) -> np.uint64:
    """Returns the finalizer of MurmurHash3 (Appleby) of a 64-bit number. Different numbers give
    different results; 0 gives 0."""
    value = (value ^ value >> _33) * _FIRST
    value = (value ^ value >> _33) * _SECOND
    return value ^ value >> _33
