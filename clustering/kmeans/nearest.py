"""Finds the nearest centroids of vectors: faiss finds candidates, and sums in a fixed order
decide."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

BLOCK_ROWS = 1 << 13
"""The number of vectors that are compared with the centroids at a time (our choice)."""
_CANDIDATES = (4, 32, 256)
"""How many candidates faiss finds for each vector; more only for a vector that has so many equally
near centroids that the candidates do not decide (our choice)."""
_COSINES = 1 << 20
"""The number of cosines that are computed again at a time (our choice)."""


class Centroids:
    """Centroids, unit vectors (k, width) float32, among which the nearest ones to a vector are
    found."""

    def __init__(self, vectors: np.ndarray) -> None:
        self.vectors = np.ascontiguousarray(vectors, np.float32)
        self._index = self._indexed()

    def __len__(self) -> int:
        return len(self.vectors)

    def _indexed(self) -> Any:
        return _index(self.vectors)

    def nearest(self, vectors: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the numbers (n, count) int32 of the `count` nearest centroids of each unit vector
        (n, width) float32, the nearest first, and the cosine (n,) float32 of the nearest; if
        centroids are equally near, the one with the lowest number comes first. `count` is at most
        the number of centroids.

        faiss computes in float32, and its last bits depend on the processor and on the number of
        vectors. So the cosines of a few candidates are computed again in float64 in a fixed order.
        If the last candidate is too near to exclude other centroids, more candidates are compared.
        """
        numbers = np.empty((len(vectors), count), np.int32)
        found = np.empty(len(vectors), np.float32)
        for start in range(0, len(vectors), BLOCK_ROWS):
            block = slice(start, start + BLOCK_ROWS)
            self._find(np.ascontiguousarray(vectors[block]), numbers[block], found[block])
        return numbers, found

    def _find(self, vectors: np.ndarray, numbers: np.ndarray, found: np.ndarray) -> None:
        """Writes the nearest centroids of a block of vectors to `numbers`, and the cosines of the
        very nearest to `found`."""
        from manifests.kernels.centroids import best_candidates

        count, total = numbers.shape[1], len(self)
        undecided = np.arange(len(vectors))
        for size in (*(size for size in _CANDIDATES if count < size < total), total):
            step, left = max(1, _COSINES // size), [undecided[:0]]
            for start in range(0, len(undecided), step):
                rows = undecided[start : start + step]
                own = vectors if len(rows) == len(vectors) else vectors[rows]
                approximate, candidates, beyond = self._candidates(own, size)
                numbers[rows], found[rows] = best_candidates(
                    own, self.vectors, candidates, approximate, self._error, count
                )
                left.append(rows[beyond >= approximate[:, count - 1] - 2 * self._error])
            undecided = np.concatenate(left)

    @property
    def _error(self) -> float:
        """A bound of the error of a cosine in float32: width x 2^-24 for unit vectors (Higham 2002,
        Accuracy and Stability of Numerical Algorithms, section 3.1), with a margin for vectors
        that were rounded to float16 and for the rounding of the exact cosine."""
        return 1.01 * 2**-24 * float(self.vectors.shape[1] + 2)

    def _candidates(
        self, vectors: np.ndarray, size: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns the cosines (n, m) that faiss finds, in descending order; the numbers (n, m)
        int64 of their centroids, -1 if there are fewer than m; and a bound (n,): no other centroid
        has a higher cosine."""
        if size == len(self):
            everything = np.broadcast_to(np.arange(size), (len(vectors), size))
            unknown = np.zeros((len(vectors), size), np.float32)
            return unknown, np.ascontiguousarray(everything), np.full(len(vectors), -np.inf)
        with one_thread():
            approximate, candidates = self._index.search(vectors, size)
        return approximate, candidates, approximate[:, -1]


class CellCentroids(Centroids):
    """Centroids in cells. For a vector, only the centroids in its `probe` nearest cells are
    compared.

    `centres` (cells, width) are the centroids of the cells, and `cells` (k,) is the cell of each
    centroid, in ascending order. Every cell has a centroid, and `probe` is at least 2.
    """

    def __init__(
        self, vectors: np.ndarray, centres: np.ndarray, cells: np.ndarray, probe: int
    ) -> None:
        self._centres, self._probe = Centroids(centres), min(probe, len(centres))
        self._starts = np.searchsorted(cells, np.arange(len(centres) + 1))
        super().__init__(vectors)

    def _indexed(self) -> Any:
        return [_index(self.vectors[start:end]) for start, end in pairwise(self._starts)]

    def _candidates(
        self, vectors: np.ndarray, size: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        shape = (len(vectors), self._probe, size)
        approximate, candidates = np.empty(shape, np.float32), np.empty(shape, np.int64)
        cells = self._centres.nearest(vectors, self._probe)[0].reshape(-1)
        order = np.argsort(cells, kind="stable")
        rows, places = np.divmod(order, self._probe)
        ends = np.searchsorted(cells[order], np.arange(len(self._index) + 1))
        for index, first, start, end in zip(
            self._index, self._starts, ends[:-1], ends[1:], strict=False
        ):
            if start < end:
                own, at = rows[start:end], places[start:end]
                with one_thread():
                    approximate[own, at], found = index.search(vectors[own], size)
                candidates[own, at] = np.where(found < 0, -1, found + first)
        beyond = approximate[:, :, -1].max(axis=1)
        flat, numbers = approximate.reshape(len(vectors), -1), candidates.reshape(len(vectors), -1)
        best = np.argsort(-flat, axis=1)
        return np.take_along_axis(flat, best, 1), np.take_along_axis(numbers, best, 1), beyond


def _index(vectors: np.ndarray) -> Any:
    import faiss

    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    return index


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
