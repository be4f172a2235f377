"""Cosines of vectors and centroids, and sums of vectors by cluster, the same on every machine.

The order of additions is fixed, and sums are float64, as in `cosine`.
"""

from __future__ import annotations

import numpy as np
from numba import float32, float64, int32, int64, types, void

from manifests.kernels.compiling import compiled

_VECTORS = types.Array(float32, 2, "C", readonly=True)
_NUMBERS = types.Array(int32, 1, "C", readonly=True)
_CANDIDATES = types.Array(int64, 2, "C", readonly=True)
_LANES = 16


def cosines(vectors: np.ndarray, centroids: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """Returns (n, m) float32: the dot product of each vector and each of its candidates, which are
    (n, m) int64 numbers of centroids.

    cosines([[1, 0]], [[0, 1], [1, 0]], [[1, 0]]) -> [[1, 0]]
    """
    found = np.empty(candidates.shape, np.float32)
    _cosines(vectors, centroids, candidates, found)
    return found


@compiled(void(_VECTORS, _VECTORS, _CANDIDATES, float32[:, ::1]))
def _cosines(
    vectors: np.ndarray, centroids: np.ndarray, candidates: np.ndarray, found: np.ndarray
) -> None:
    width = vectors.shape[1]
    full = width - width % _LANES
    sums = np.empty(_LANES, np.float64)
    for row in range(len(vectors)):
        one = vectors[row]
        for number in range(candidates.shape[1]):
            other = centroids[candidates[row, number]]
            sums[:] = 0
            for start in range(0, full, _LANES):
                for lane in range(_LANES):
                    sums[lane] += np.float64(one[start + lane]) * np.float64(other[start + lane])
            for place in range(full, width):
                sums[0] += np.float64(one[place]) * np.float64(other[place])
            total = 0.0
            for lane in range(_LANES):
                total += sums[lane]
            found[row, number] = total


def add_vectors(
    vectors: np.ndarray, clusters: np.ndarray, sums: np.ndarray, counts: np.ndarray
) -> None:
    """Adds each vector to the sum of its cluster, in the order of the vectors, and 1 to the count
    of its cluster. `clusters` is (n,) int32, `sums` (k, width) float64, `counts` (k,) int64."""
    _add_vectors(vectors, clusters, sums, counts)


@compiled(void(_VECTORS, _NUMBERS, float64[:, ::1], int64[::1]))
def _add_vectors(
    vectors: np.ndarray, clusters: np.ndarray, sums: np.ndarray, counts: np.ndarray
) -> None:
    for row in range(len(vectors)):
        cluster = clusters[row]
        counts[cluster] += 1
        for place in range(vectors.shape[1]):
            sums[cluster, place] += np.float64(vectors[row, place])
