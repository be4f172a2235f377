"""What makes every bit of a hash depend on every bit of what is hashed; to be called by kernels."""

from __future__ import annotations

import numpy as np

from manifests.kernels.compiling import inlined

_33 = np.uint64(33)
_FIRST, _SECOND = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)


@inlined
def mixed(value: np.uint64) -> np.uint64:
    """The finalizer of MurmurHash3 (Appleby), one to one."""
    value = (value ^ value >> _33) * _FIRST
    value = (value ^ value >> _33) * _SECOND
    return value ^ value >> _33
