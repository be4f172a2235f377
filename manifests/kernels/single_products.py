"""Products of float32 matrices, the same to the last bit for any number of threads. In a linear
algebra library the order of additions depends on the number of threads."""

from __future__ import annotations

import numpy as np
from numba import float32, types, void

from manifests.kernels.compiling import compiled

_MATRIX = types.Array(float32, 2, "C", readonly=True)


def times(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Returns the product of the matrices (n, k) and (k, m), both float32 and C-contiguous."""
    product = np.zeros((len(one), other.shape[1]), np.float32)
    _times(one, other, product)
    return product


@compiled(void(_MATRIX, _MATRIX, float32[:, ::1]))
def _times(one: np.ndarray, other: np.ndarray, product: np.ndarray) -> None:
    for row in range(len(one)):
        for i in range(len(other)):
            value = one[row, i]
            for column in range(other.shape[1]):
                product[row, column] += value * other[i, column]
