"""Cosines of vectors and centroids, and sums of vectors by cluster, the same on every machine.

The order of additions is fixed, and sums are float64, as in `cosine`.
"""

from __future__ import annotations

import numpy as np
from numba import float32, float64, int32, int64, types, void

from manifests.kernels.compiling import compiled, inlined

_VECTORS = types.Array(float32, 2, "C", readonly=True)
_NUMBERS = types.Array(int32, 1, "C", readonly=True)
_CANDIDATES = types.Array(int64, 2, "C", readonly=True)
_LANES = 16


def best_candidates(
    vectors: np.ndarray,
    centroids: np.ndarray,
    candidates: np.ndarray,
    approximate: np.ndarray,
    error: float,
    count: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the numbers (n, count) int32 and dot products (n, count) float32 of the candidates
    with the highest dot products, the highest first; of equal ones the lowest number.

    `candidates` (n, m) int64 are numbers of centroids, -1 for none, and `approximate` (n, m)
    float32 their dot products in descending order, which are wrong by at most `error`: candidates
    that are too low by these are not computed.

    best_candidates([[1, 0]], [[0, 1], [1, 0]], [[1, 0]], [[1, 0]], 0.1, 1) -> [[1]], [[1]]
    """
    numbers = np.full((len(vectors), count), -1, np.int32)
    found = np.full((len(vectors), count), -np.inf, np.float32)
    _best_candidates(vectors, centroids, candidates, approximate, error, numbers, found)
    return numbers, found


@inlined
def _dot(one: np.ndarray, other: np.ndarray, sums: np.ndarray) -> np.float32:
    width = len(one)
    full = width - width % _LANES
    sums[:] = 0
    for start in range(0, full, _LANES):
        for lane in range(_LANES):
            sums[lane] += np.float64(one[start + lane]) * np.float64(other[start + lane])
    for place in range(full, width):
        sums[0] += np.float64(one[place]) * np.float64(other[place])
    total = 0.0
    for lane in range(_LANES):
        total += sums[lane]
    return np.float32(total)


@compiled(void(_VECTORS, _VECTORS, _CANDIDATES, _VECTORS, float64, int32[:, ::1], float32[:, ::1]))
def _best_candidates(
    vectors: np.ndarray,
    centroids: np.ndarray,
    candidates: np.ndarray,
    approximate: np.ndarray,
    error: float,
    numbers: np.ndarray,
    found: np.ndarray,
) -> None:
    count = numbers.shape[1]
    sums = np.empty(_LANES, np.float64)
    for row in range(len(vectors)):
        floor = approximate[row, count - 1] - 2 * error
        for place in range(candidates.shape[1]):
            number = candidates[row, place]
            if number < 0 or approximate[row, place] < floor:
                break
            cosine = _dot(vectors[row], centroids[number], sums)
            at = count
            while at > 0 and (
                found[row, at - 1] < cosine
                or (found[row, at - 1] == cosine and numbers[row, at - 1] > number)
            ):
                at -= 1
            for later in range(count - 1, at, -1):
                numbers[row, later] = numbers[row, later - 1]
                found[row, later] = found[row, later - 1]
            if at < count:
                numbers[row, at], found[row, at] = number, cosine


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
