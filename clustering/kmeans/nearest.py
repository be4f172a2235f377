"""Finds the nearest centroids of vectors: faiss finds candidates, and fixed-order sums decide."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np

BLOCK_ROWS = 4096
"""The number of vectors that are compared with the centroids at a time; faiss compares as many in
one block (`distance_compute_blas_query_bs`)."""
_CANDIDATES = (4, 32, 256)
"""How many candidates faiss finds for each vector; more only for a vector that has so many equally
near centroids that the candidates do not decide (our choice)."""
_CELLS = 1 << 20
"""The number of cosines that are computed again at a time (our choice)."""


class Centroids:
    """Unit vectors (k, width) float32, of which the nearest ones of other vectors are searched."""

    def __init__(self, vectors: np.ndarray) -> None:
        import faiss

        self.vectors = np.ascontiguousarray(vectors, np.float32)
        self._index = faiss.IndexFlatIP(self.vectors.shape[1])
        self._index.add(self.vectors)

    def nearest(self, vectors: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the numbers (n, count) int32 of the `count` nearest centroids of each unit vector
        (n, width) float32, and their cosines (n, count) float32, the nearest first; of equally near
        centroids the one with the lowest number. `count` is at most the number of centroids.

        faiss computes in float32, and its last bits depend on the processor and on the number of
        vectors. So the cosines of a few candidates are computed again in float64 in a fixed order.
        If the last candidate is too near to exclude other centroids, more candidates are compared.
        """
        numbers = np.empty((len(vectors), count), np.int32)
        found = np.empty((len(vectors), count), np.float32)
        for start in range(0, len(vectors), BLOCK_ROWS):
            block = slice(start, start + BLOCK_ROWS)
            numbers[block], found[block] = self._block(vectors[block], count)
        return numbers, found

    def _block(self, vectors: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        numbers = np.zeros((len(vectors), count), np.int32)
        found = np.zeros((len(vectors), count), np.float32)
        undecided = np.arange(len(vectors))
        total = len(self.vectors)
        for size in (*(size for size in _CANDIDATES if count < size < total), total):
            step, left = max(1, _CELLS // size), []
            for start in range(0, len(undecided), step):
                rows = undecided[start : start + step]
                own = np.ascontiguousarray(vectors[rows])
                candidates, decided = self._candidates(own, count, size)
                numbers[rows], found[rows] = _best(own, self.vectors, candidates, count)
                left.append(rows[~decided])
            undecided = np.concatenate([np.empty(0, np.int64), *left])
        return numbers, found

    def _candidates(
        self, vectors: np.ndarray, count: int, size: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns the numbers (n, size) int64 of the centroids that are nearest by the cosines of
        faiss, and whether they surely include the `count` nearest ones."""
        total = len(self.vectors)
        if size == total:
            everything = np.broadcast_to(np.arange(total), (len(vectors), total))
            return np.ascontiguousarray(everything), np.ones(len(vectors), bool)
        with one_thread():
            approximate, candidates = self._index.search(vectors, size)
        # The rounding error of a dot product of unit vectors is at most width x 2^-24 (Higham 2002,
        # Accuracy and Stability of Numerical Algorithms, section 3.1); both cosines may have it.
        error = 2 * 2.0**-24 * (self.vectors.shape[1] + 2)
        return candidates, approximate[:, -1] < approximate[:, count - 1] - 2 * error


def _best(
    vectors: np.ndarray, centroids: np.ndarray, candidates: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    from manifests.kernels.centroids import cosines

    exact = cosines(vectors, centroids, candidates)
    order = np.lexsort((candidates, -exact), axis=1)[:, :count]
    best = np.take_along_axis(candidates, order, axis=1).astype(np.int32)
    return best, np.take_along_axis(exact, order, axis=1)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Lets faiss use one thread: the workers share the processors already."""
    import faiss

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
