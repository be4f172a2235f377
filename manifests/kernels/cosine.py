"""Scalar products of pairs of vectors, the same to the last bit on every machine."""

from __future__ import annotations

import numpy as np
from numba import float32, int64, types, void

from manifests.kernels.compiling import compiled

_VECTORS = types.Array(float32, 2, "C", readonly=True)
_PLACES = types.Array(int64, 1, "C", readonly=True)
_LANES = 8


def products(vectors: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """float32 of vectors[a] with vectors[b], (n, dimensions) float32, for each of the places.

    A library of linear algebra adds in an order that depends on the processor and on the number
    of threads. Here it is fixed, and of twice the digits.
    """
    measured = np.empty(len(a), np.float32)
    _products(vectors, a, b, measured)
    return measured


@compiled(void(_VECTORS, _PLACES, _PLACES, float32[::1]))
def _products(vectors: np.ndarray, a: np.ndarray, b: np.ndarray, measured: np.ndarray) -> None:
    dimensions = vectors.shape[1]
    whole = dimensions - dimensions % _LANES
    sums = np.empty(_LANES, np.float64)
    for pair in range(len(measured)):
        one, other = vectors[a[pair]], vectors[b[pair]]
        sums[:] = 0
        for start in range(0, whole, _LANES):
            for lane in range(_LANES):
                sums[lane] += np.float64(one[start + lane]) * np.float64(other[start + lane])
        for place in range(whole, dimensions):
            sums[0] += np.float64(one[place]) * np.float64(other[place])
        total = 0.0
        for lane in range(_LANES):
            total += sums[lane]
        measured[pair] = total
