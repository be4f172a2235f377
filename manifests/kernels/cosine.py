"""Dot products of pairs of vectors, the same to the last bit on every machine."""

from __future__ import annotations

import numpy as np
from numba import float32, int64, types, void

from manifests.kernels.compiling import compiled

_VECTORS = types.Array(float32, 2, "C", readonly=True)
_PLACES = types.Array(int64, 1, "C", readonly=True)
_LANES = 8


def dot_products(
    vectors: np.ndarray, a: np.ndarray, b: np.ndarray, others: np.ndarray | None = None
) -> np.ndarray:
    """Returns (pairs,) float32: for each i, the dot product of vectors[a[i]] and others[b[i]]. If
    `others` is None, vectors[b[i]] replaces others[b[i]].

    `vectors` and `others` are (n, dimensions) float32; `a` and `b` are (pairs,) int64. In a linear
    algebra library the order of additions depends on the processor and the number of threads. Here
    the order is fixed, and the sums are float64.

    dot_products([[1, 2], [3, 4]], [0, 1], [1, 1]) -> [11, 25]
    """
    products = np.empty(len(a), np.float32)
    _dot_products(vectors, vectors if others is None else others, a, b, products)
    return products


@compiled(void(_VECTORS, _VECTORS, _PLACES, _PLACES, float32[::1]))
def _dot_products(
    vectors: np.ndarray, others: np.ndarray, a: np.ndarray, b: np.ndarray, products: np.ndarray
) -> None:
    dimensions = vectors.shape[1]
    full = dimensions - dimensions % _LANES
    sums = np.empty(_LANES, np.float64)
    for pair in range(len(products)):
        one, other = vectors[a[pair]], others[b[pair]]
        sums[:] = 0
        for start in range(0, full, _LANES):
            for lane in range(_LANES):
                sums[lane] += np.float64(one[start + lane]) * np.float64(other[start + lane])
        for place in range(full, dimensions):
            sums[0] += np.float64(one[place]) * np.float64(other[place])
        total = 0.0
        for lane in range(_LANES):
            total += sums[lane]
        products[pair] = total
