"""The nearest centroids, compared with all cosines in float64."""

from __future__ import annotations

import numpy as np
import pytest

from clustering.kmeans.nearest import CellCentroids, Centroids
from manifests.vectors.units import units_of


def units(rows: int, width: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((rows, width)).astype(np.float32)
    return units_of(vectors).vectors


def expected(vectors: np.ndarray, centroids: np.ndarray, count: int) -> np.ndarray:
    cosines = (vectors.astype(np.float64) @ centroids.T.astype(np.float64)).astype(np.float32)
    numbers = np.broadcast_to(np.arange(len(centroids)), cosines.shape)
    return np.lexsort((numbers, -cosines), axis=1)[:, :count]


@pytest.mark.parametrize("clusters", [1, 2, 3, 5, 300])
def test_the_nearest_centroids_are_those_of_all_cosines(clusters: int) -> None:
    vectors, centroids = units(5000, 24, 1), units(clusters, 24, 2)
    count = min(2, clusters)
    found, cosines = Centroids(centroids).nearest(vectors, count)
    assert np.array_equal(found, expected(vectors, centroids, count))
    assert np.allclose(cosines, (vectors * centroids[found[:, 0]]).sum(axis=1), atol=1e-6)


def test_of_equally_near_centroids_the_lowest_numbers_are_found() -> None:
    """More equal centroids than faiss is asked for at first."""
    vectors = units(50, 8, 3)
    centroids = np.repeat(units(3, 8, 4), 300, axis=0)
    found, _ = Centroids(centroids).nearest(vectors, 2)
    assert set(map(tuple, found.tolist())) <= {(0, 1), (300, 301), (600, 601)}


def nearly_equal_centroids() -> tuple[np.ndarray, np.ndarray]:
    """Vectors (200, 100), and 300 centroids whose cosines differ less than float32 can show, so
    that faiss finds others than the nearest."""
    random = np.random.default_rng(10)
    base = units(1, 100, 5).astype(np.float64)
    centroids = (base + 1e-7 * random.standard_normal((300, 100))).astype(np.float32)
    return units_of(units(200, 100, 6) + base).vectors, centroids


def test_of_nearly_equal_centroids_exact_cosines_decide() -> None:
    vectors, centroids = nearly_equal_centroids()
    assert np.array_equal(
        Centroids(centroids).nearest(vectors, 2)[0], expected(vectors, centroids, 2)
    )


def test_nearly_equal_centroids_in_one_of_the_searched_cells_are_all_compared() -> None:
    vectors, centroids = nearly_equal_centroids()
    both = np.concatenate([centroids, -centroids[:40]])
    centres, cells = units_of(both[[0, 300]]).vectors, np.repeat([0, 1], [300, 40])
    found, _ = CellCentroids(both, centres, cells, 2).nearest(vectors, 2)
    assert np.array_equal(found, expected(vectors, both, 2))


def test_a_vector_has_the_same_centroids_and_cosines_in_any_batch() -> None:
    vectors, centroids = units(300, 100, 5), units(1000, 100, 6)
    search = Centroids(centroids)
    numbers, cosines = search.nearest(vectors, 2)
    for start, end in ((0, 1), (1, 18), (18, 300)):
        some_numbers, some_cosines = search.nearest(vectors[start:end], 2)
        assert np.array_equal(some_numbers, numbers[start:end])
        assert np.array_equal(some_cosines, cosines[start:end])


def test_in_cells_the_nearest_of_the_nearest_cells_are_found() -> None:
    vectors, centres = units(3000, 16, 7), units(9, 16, 8)
    centroids = units(400, 16, 9)
    cells = Centroids(centres).nearest(centroids, 1)[0][:, 0]
    centroids, cells = centroids[np.argsort(cells, kind="stable")], np.sort(cells)
    found, cosines = CellCentroids(centroids, centres, cells, 3).nearest(vectors, 2)
    probed = np.argsort(-(vectors @ centres.T), axis=1)[:, :3]
    every = (vectors.astype(np.float64) @ centroids.T.astype(np.float64)).astype(np.float32)
    every[~(probed[:, None, :] == cells[None, :, None]).any(axis=2)] = -2
    assert np.array_equal(found, np.argsort(-every, axis=1, kind="stable")[:, :2])
    assert np.allclose(cosines, every.max(axis=1), atol=1e-6)
