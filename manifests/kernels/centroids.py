"""Cosines of vectors and centroids, and sums of vectors by cluster, the same on every machine.

The order of additions is fixed, and sums are float64.
"""

from __future__ import annotations

import numpy as np
from numba import float32, float64, int32, int64, types, void

from manifests.kernels.compiling import compiled, inlined
from manifests.kernels.cosine import dot

_VECTORS = types.Array(float32, 2, "C", readonly=True)
_NUMBERS = types.Array(int32, 1, "C", readonly=True)
_CANDIDATES = types.Array(int64, 2, "C", readonly=True)


def best_candidates(
    vectors: np.ndarray,
    centroids: np.ndarray,
    candidates: np.ndarray,
    approximate: np.ndarray,
    error: float,
    count: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns for each vector the numbers of the `count` centroids with the highest dot products,
    the highest first, (n, count) int32, and the highest dot product, (n,) float32. Of centroids
    with equal dot products, the one with the lowest number comes first.

    `candidates` (n, m) int64 has the numbers of the centroids to compare, -1 for none.
    `approximate` (n, m) float32 has their dot products in descending order, which are wrong by at
    most `error`. If these do not decide the result for a vector, exact ones are computed.

    best_candidates([[1, 0]], [[0, 1], [1, 0]], [[1, 0]], [[1, 0]], 0.1, 1) -> [[1]], [1]: centroid
    1 is best, with the dot product 1.
    """
    numbers = np.empty((len(vectors), count), np.int32)
    highest = np.empty(len(vectors), np.float32)
    _best_candidates(vectors, centroids, candidates, approximate, error, numbers, highest)
    return numbers, highest


@inlined
def _insert(numbers: np.ndarray, found: np.ndarray, number: int, cosine: np.float32) -> None:
    """Inserts a candidate into the arrays of the best candidates, if it is better than the last of
    them. `numbers` has the numbers of the best candidates, and `found` their cosines."""
    at = len(numbers)
    while at > 0 and (
        found[at - 1] < cosine or (found[at - 1] == cosine and numbers[at - 1] > number)
    ):
        at -= 1
    for later in range(len(numbers) - 1, at, -1):
        numbers[later], found[later] = numbers[later - 1], found[later - 1]
    if at < len(numbers):
        numbers[at], found[at] = number, cosine


@compiled(void(_VECTORS, _VECTORS, _CANDIDATES, _VECTORS, float64, int32[:, ::1], float32[::1]))
def _best_candidates(
    vectors: np.ndarray,
    centroids: np.ndarray,
    candidates: np.ndarray,
    approximate: np.ndarray,
    error: float,
    numbers: np.ndarray,
    highest: np.ndarray,
) -> None:
    count, size = numbers.shape[1], candidates.shape[1]
    found = np.empty(count, np.float32)
    for row in range(len(vectors)):
        decided = True
        for place in range(min(count, size - 1)):
            decided &= approximate[row, place] - approximate[row, place + 1] > 2 * error
        if decided:
            for place in range(count):
                numbers[row, place] = candidates[row, place]
            highest[row] = dot(vectors[row], centroids[candidates[row, 0]])
            continue
        floor = approximate[row, count - 1] - 2 * error
        found[:] = -np.inf
        numbers[row] = -1
        for place in range(size):
            number = candidates[row, place]
            if number < 0 or approximate[row, place] < floor:
                break
            cosine = dot(vectors[row], centroids[number])
            _insert(numbers[row], found, number, cosine)
        highest[row] = found[0]


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
