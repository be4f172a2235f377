"""The quality of clusters, compared with its definitions in plain numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from clustering.kmeans.bins import BIN_BYTES, Bin, bin_numbers, plan_bins
from clustering.kmeans.cells import quotas
from clustering.kmeans.levels import FitLevel, Plan, nearest_members
from clustering.kmeans.lloyd import Sums, moved
from clustering.kmeans.model import write_array
from clustering.kmeans.quality import silhouette
from clustering.kmeans.vectors import matrix
from manifests.storage import parts
from manifests.vectors.units import units_of


def test_the_silhouette_is_that_of_all_pairs() -> None:
    vectors = units_of(np.random.default_rng(1).standard_normal((60, 5))).vectors
    clusters = np.array([0] * 20 + [1] * 25 + [3] * 14 + [4])
    sizes = np.bincount(clusters, minlength=6)
    sums = np.stack([vectors[clusters == c].sum(axis=0, dtype=np.float64) for c in range(6)])
    distance = 1 - vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    expected = np.zeros(60)
    for row in range(59):  # the last is alone in its cluster: 0
        own = (clusters == clusters[row]) & (np.arange(60) != row)
        inside = distance[row, own].mean()
        others = set(clusters.tolist()) - {int(clusters[row])}
        outside = min(distance[row, clusters == c].mean() for c in others)
        expected[row] = (outside - inside) / max(inside, outside)
    found = np.concatenate(silhouette(vectors, clusters, sums, sizes))
    assert np.allclose(found, expected, atol=1e-6)


def test_bins_hold_whole_clusters_and_slices_of_large_ones() -> None:
    sizes = np.array([BIN_BYTES // 2, BIN_BYTES // 2, 1, 3 * BIN_BYTES, 5])
    bins = plan_bins(sizes, 1)
    assert bins == (
        Bin(0, 0, 2), Bin(1, 2, 3), Bin(2, 3, 4, 0, 3), Bin(3, 3, 4, 1, 3), Bin(4, 3, 4, 2, 3),
        Bin(5, 4, 5),
    )  # fmt: skip
    keys = np.array([0, 2**63, 2**64 - 1], np.uint64)
    assert bin_numbers(bins, np.array([3, 3, 3]), keys).tolist() == [2, 3, 4]
    assert bin_numbers(bins, np.array([1, 2, 4]), keys).tolist() == [0, 1, 5]


def test_clusters_after_a_large_one_share_a_bin() -> None:
    sizes = np.array([2 * BIN_BYTES, BIN_BYTES // 2, BIN_BYTES // 2])
    assert plan_bins(sizes, 1) == (Bin(0, 0, 1, 0, 2), Bin(1, 0, 1, 1, 2), Bin(2, 1, 3))


def test_shares_of_groups_add_up() -> None:
    assert quotas(np.array([60, 30, 0, 10]), 10).tolist() == [6, 3, 0, 1]
    assert quotas(np.array([1, 1, 1000]), 100).tolist() == [1, 1, 98]
    assert quotas(np.array([2, 3]), 100).tolist() == [2, 3]


def test_what_is_left_goes_to_the_largest_remainder() -> None:
    assert quotas(np.array([26, 24, 50]), 10).tolist() == [3, 2, 5]


def test_an_empty_cluster_takes_half_of_another() -> None:
    centroids = np.eye(3, dtype=np.float32)
    found = Sums(np.array([[9.0, 1, 0], [0, 0, 0], [0, 0, 1]]), np.array([10, 0, 1]))
    after = moved(found, centroids, [1, 0])
    assert after[1] @ after[0] > 0.999
    assert not np.array_equal(after[1], after[0])
    assert np.array_equal(after, moved(found, centroids, [1, 0]))


def test_a_level_starts_from_random_centroids_of_the_level_below(tmp_path: Path) -> None:
    uri, points = str(tmp_path / "below.npy"), np.eye(50, dtype=np.float32)
    write_array(uri, points)
    found = []
    for seed in (1, 2):
        fit = FitLevel(uri, resamplings=0, rounds=0, seed=seed)
        entry, _ = fit(Plan(2, 5, 1), str(tmp_path)).files
        table = parts.read_columns(str(tmp_path / entry.name))
        found.append(set(matrix(table["vector"], 50).argmax(axis=1).tolist()))
    assert len(found[0] | found[1] | set(range(5))) > 10


def test_resampling_takes_the_nearest_of_each_cluster() -> None:
    points = units_of(np.array([[1, 0.0], [1, 0.1], [1, -0.3], [0, 1], [0.1, 1]])).vectors
    centroids = units_of(np.array([[1, 0.0], [0, 1]])).vectors
    assert nearest_members(points, centroids, 2).tolist() == [0, 1, 3, 4]
    assert nearest_members(points, centroids, 1).tolist() == [0, 3]
