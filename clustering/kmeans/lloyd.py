"""One round of spherical k-means (Dhillon and Modha 2001): assign vectors, then move centroids.

The new centroid of a cluster is the sum of its unit vectors, divided by the length of this sum.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from clustering.kmeans.model import Fitted
from clustering.kmeans.nearest import BLOCK_ROWS, Centroids
from clustering.kmeans.vectors import distinct

_SPLIT = 1 / 1024
"""How far the two centroids of a split cluster are moved apart (the same as in faiss)."""


class Sums(NamedTuple):
    """What one round finds: the sum of the vectors of each cluster, (k, width) float64, and
    their number, (k,) int64."""

    sums: np.ndarray
    counts: np.ndarray

    @classmethod
    def nothing(cls, clusters: int, width: int) -> Sums:
        return cls(np.zeros((clusters, width)), np.zeros(clusters, np.int64))

    def plus(self, other: Sums) -> Sums:
        """Returns the sum of this object and `other`. The array `sums` of this object is
        changed."""
        np.add(self.sums, other.sums, out=self.sums)
        return Sums(self.sums, self.counts + other.counts)


def assign(vectors: np.ndarray, centroids: Centroids, found: Sums) -> Sums:
    """Adds vectors (n, width), of any float type, to the sums of their nearest centroids, in
    place, and returns these."""
    from manifests.kernels.centroids import add_vectors

    for start in range(0, len(vectors), BLOCK_ROWS):
        block = np.ascontiguousarray(vectors[start : start + BLOCK_ROWS], np.float32)
        numbers, _ = centroids.nearest(block, 1)
        add_vectors(block, np.ascontiguousarray(numbers[:, 0]), found.sums, found.counts)
    return found


def moved(found: Sums, before: np.ndarray, seeds: list[int]) -> np.ndarray:
    """Returns the centroids of the next round, (k, width) float32, of unit length.

    For each empty cluster, another cluster is split, as in faiss: it is drawn with a probability
    that grows with its number of vectors, and both clusters get its centroid, moved a little in two
    opposite directions.
    """
    lengths = np.linalg.norm(found.sums, axis=1, keepdims=True)
    centroids = np.where(lengths > 0, found.sums / np.where(lengths > 0, lengths, 1), before)
    counts = found.counts.astype(np.float64)
    random = np.random.Generator(np.random.Philox(np.random.SeedSequence(seeds)))
    signs = np.where(np.arange(centroids.shape[1]) % 2 == 0, _SPLIT, -_SPLIT)
    for empty in np.flatnonzero(found.counts == 0):
        chances = np.cumsum(np.maximum(counts - 1, 0))
        if chances[-1] <= 0:
            break
        other = int(np.searchsorted(chances, random.random() * chances[-1], side="right"))
        centroids[empty] = centroids[other] * (1 + signs)
        centroids[other] *= 1 - signs
        counts[empty] = counts[other] / 2
        counts[other] -= counts[empty]
    lengths = np.linalg.norm(centroids, axis=1, keepdims=True)
    return np.ascontiguousarray(centroids / lengths, np.float32)


def fit(vectors: np.ndarray, clusters: int, rounds: int, seeds: list[int]) -> Fitted:
    """Fits `clusters` centroids to vectors in memory, (n, width) of any float type; fewer if there
    are fewer different vectors. The first centroids are the first different vectors."""
    centroids = vectors[distinct(vectors, clusters)].astype(np.float32)
    counts = np.zeros(len(centroids), np.int64)
    for number in range(rounds):
        found = assign(vectors, Centroids(centroids), Sums.nothing(*centroids.shape))
        centroids, counts = moved(found, centroids, [*seeds, number]), found.counts
    return Fitted(centroids, counts)
