"""Dot products of pairs of vectors, the same to the last bit on every machine."""

from __future__ import annotations

import numpy as np
from numba import float32, int64, types, void

from manifests.kernels.compiling import compiled, inlined

_VECTORS = types.Array(float32, 2, "C", readonly=True)
_PLACES = types.Array(int64, 1, "C", readonly=True)


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


@inlined
def dot(one: np.ndarray, other: np.ndarray) -> np.float32:
    """The dot product of two vectors, by eight sums that are added in a fixed order."""
    width = len(one)
    full = width - width % 8
    a = b = c = d = e = f = g = h = 0.0
    for at in range(0, full, 8):
        a += np.float64(one[at]) * np.float64(other[at])
        b += np.float64(one[at + 1]) * np.float64(other[at + 1])
        c += np.float64(one[at + 2]) * np.float64(other[at + 2])
        d += np.float64(one[at + 3]) * np.float64(other[at + 3])
        e += np.float64(one[at + 4]) * np.float64(other[at + 4])
        f += np.float64(one[at + 5]) * np.float64(other[at + 5])
        g += np.float64(one[at + 6]) * np.float64(other[at + 6])
        h += np.float64(one[at + 7]) * np.float64(other[at + 7])
    for at in range(full, width):
        a += np.float64(one[at]) * np.float64(other[at])
    return np.float32(((((((a + b) + c) + d) + e) + f) + g) + h)


@compiled(void(_VECTORS, _VECTORS, _PLACES, _PLACES, float32[::1]))
def _dot_products(
    vectors: np.ndarray, others: np.ndarray, a: np.ndarray, b: np.ndarray, products: np.ndarray
) -> None:
    for pair in range(len(products)):
        products[pair] = dot(vectors[a[pair]], others[b[pair]])
