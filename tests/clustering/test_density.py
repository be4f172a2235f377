"""Density, sparsity and the sparse records, of clusters that are known."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from clustering import density
from clustering.cluster import Cluster
from clustering.density import clusters_around, density_of_part, measure_density
from clustering.kmeans.bins import Bin
from clustering.sparsest import last_of_sparsest, sparsest
from manifests.storage import parts
from tests.clustering.cluster_files import Clustered, clustered, parts_of, unit, write_files
from tests.clustering.embeddings import embedded, in_parts, mixture
from tests.filters.corpus_steps import decide, temporary_workspace

CLUSTERS = 6
BINS = (Bin(0, 0, 2), Bin(1, 2, 3, 0, 2), Bin(2, 2, 3, 1, 2), Bin(3, 3, 6))
"""Cluster 2 is in two bins, as a very large cluster is."""


def measured(
    folder: Path, made: Clustered, neighbours: int = 5, share: float = 0.1, **how: Any
) -> dict[str, np.ndarray]:
    """The columns of all records, in the order of their vectors."""
    in_parts = how.get("in_parts", np.arange(len(made.vectors)) % 3)
    files = write_files(folder, made, how.get("bins", BINS), in_parts)
    with temporary_workspace() as space:
        found = measure_density(files, made.centroids, neighbours, share, space)
        columns = [density_of_part(found, part) for part in parts_of(in_parts)]
    order = np.argsort(in_parts, kind="stable")
    whole: dict[str, np.ndarray] = {}
    for name in columns[0]:
        values = np.concatenate([np.asarray(one[name]) for one in columns])
        whole[name] = np.empty_like(values)
        whole[name][order] = values
    return whole


def expected(made: Clustered, neighbours: int) -> tuple[np.ndarray, np.ndarray]:
    """Density and sparsity by fractions, which are exact, over all clusters."""
    vectors = [[Fraction(float(x)) for x in vector] for vector in made.vectors]
    dense, sparse = [], []
    for a, one in enumerate(vectors):
        cosines = [
            float(sum(x * y for x, y in zip(one, other, strict=True)))
            / (_length(one) * _length(other))
            for b, other in enumerate(vectors) if a != b
        ]  # fmt: skip
        nearest = sorted(cosines, reverse=True)[:neighbours]
        dense.append(np.mean(nearest))
        sparse.append(1 - nearest[-1])
    return np.array(dense), np.array(sparse)


def _length(vector: list[Fraction]) -> float:
    return float(sum(x * x for x in vector)) ** 0.5


def test_density_is_the_mean_cosine_to_the_nearest_and_sparsity_the_distance_to_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(density, "SEARCHED", CLUSTERS)
    made = clustered(60, CLUSTERS, width=4)
    found = measured(tmp_path / "files", made)
    dense, sparse = expected(made, 5)
    np.testing.assert_allclose(found["density"], dense, atol=1e-7)
    np.testing.assert_allclose(found["sparsity"], sparse, atol=1e-7)


def test_the_densities_have_the_same_bits_for_any_parts_bins_and_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = clustered(900, CLUSTERS, width=48)
    one = measured(tmp_path / "a", made)
    monkeypatch.setattr(density, "_QUERIES", 7)
    monkeypatch.setattr(density, "_BASE", 11)
    draw = np.random.default_rng(1)
    other = measured(
        tmp_path / "b", made, bins=(Bin(0, 0, 6),), in_parts=np.sort(draw.integers(0, 8, 900))
    )
    for name in one:
        assert one[name].tobytes() == other[name].tobytes()


def test_neighbours_in_the_nearest_other_clusters_count(tmp_path: Path) -> None:
    made = clustered(200, CLUSTERS)
    alone = made.vectors[:1]
    vectors = np.concatenate([made.vectors, alone + np.float16(0.01)])
    clusters = np.append(made.clusters, (made.clusters[0] + 1) % CLUSTERS)
    near = Clustered(vectors, clusters, made.centroids)
    found = measured(tmp_path / "files", near, neighbours=1)
    assert found["density"][0] > 0.99
    assert found["density"][-1] == found["density"][0]


def test_a_copy_is_a_neighbour_and_a_record_is_not_its_own(tmp_path: Path) -> None:
    made = clustered(30, 2)
    copied = Clustered(*(np.concatenate([x, x[:1]]) for x in made[:2]), made.centroids)
    found = measured(tmp_path / "files", copied, neighbours=1, bins=(Bin(0, 0, 2),))
    assert found["density"][0] == found["density"][-1] == pytest.approx(1, abs=1e-7)
    assert found["density"][1:-1].max() < 1 - 1e-6


def test_records_with_fewer_neighbours_have_those_there_are(tmp_path: Path) -> None:
    vectors = np.array([[1, 0], [0.8, 0.6]], np.float16)
    pair = Clustered(vectors, np.zeros(2, int), np.array([[1, 0]], np.float32))
    found = measured(tmp_path / "a", pair, bins=(Bin(0, 0, 1),), in_parts=np.zeros(2, int))
    np.testing.assert_allclose(found["density"], 0.8, atol=1e-3)
    np.testing.assert_allclose(found["sparsity"], 0.2, atol=1e-3)
    one = Clustered(vectors[:1], np.zeros(1, int), pair.centroids)
    found = measured(tmp_path / "b", one, bins=(Bin(0, 0, 1),), in_parts=np.zeros(1, int))
    assert found["density"].tolist() == [0]
    assert found["sparsity"].tolist() == [1]


@pytest.mark.parametrize("share", [0, 0.013, 0.1, 0.5, 1])
def test_exactly_the_sparsest_share_is_sparse(tmp_path: Path, share: float) -> None:
    made = clustered(500, CLUSTERS)
    found = measured(tmp_path / "files", made, share=share)
    count = round(share * 500)
    order = np.lexsort((made.keys, -found["sparsity"]))
    assert np.flatnonzero(found["sparse"]).tolist() == sorted(order[:count].tolist())


def test_of_equal_records_the_random_keys_decide(tmp_path: Path) -> None:
    vectors = np.repeat(unit(np.ones((1, 8))), 100, axis=0).astype(np.float16)
    made = Clustered(vectors, np.zeros(100, int), vectors[:1].astype(np.float32))
    found = measured(tmp_path / "files", made, share=0.13, bins=(Bin(0, 0, 1),))
    first = np.argsort(made.keys)[:13]
    assert np.flatnonzero(found["sparse"]).tolist() == sorted(first.tolist())


def test_random_keys_that_differ_in_the_last_bits_decide(tmp_path: Path) -> None:
    keys = np.array([9, 3, 7, 5], np.uint64) + np.uint64(2**63)
    rows = pa.table({"sparsity": pa.array([0.5] * 4, pa.float32()), "key": keys})
    one = Bin(0, 0, 1)
    parts.write(str(tmp_path / f"{one.name}.arrow"), rows.schema, [rows], durable=False)
    with temporary_workspace() as space:
        last = last_of_sparsest(str(tmp_path), (one,), 2, space)
    assert sparsest(rows, last).tolist() == [False, True, False, True]


def test_a_record_in_no_cluster_has_no_density(tmp_path: Path) -> None:
    made = clustered(20, 2)
    in_parts = np.zeros(20, int)
    files = write_files(tmp_path / "files", made, (Bin(0, 0, 2),), in_parts)
    with temporary_workspace() as space:
        found = measure_density(files, made.centroids, 3, 0.1, space)
        part = parts_of(in_parts)[0]._replace(rows=22)
        columns = density_of_part(found, part)
    assert all(column[20:].null_count == column.null_count == 2 for column in columns.values())
    assert columns["sparse"].type == pa.bool_()


def test_the_clusters_around_are_the_nearest_and_hold_enough_records(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(density, "_AROUND", 4)
    angles = np.radians([0, 10, 20, 30, 40, 51, 63, 76])
    centroids = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float16)
    sizes = np.array([100, 100, 0, 100, 1, 1, 1, 100])
    around = clusters_around(centroids, sizes, neighbours=10)
    assert around[0].tolist() == [0, 1, 3, 4]
    assert around[5].tolist() == [5, 4, 6, 3]
    assert around[2].tolist() == []  # an empty cluster has no records
    assert clusters_around(centroids, sizes, 25)[5].tolist() == [5, 4, 6, 3, 7, 1]


def test_a_record_is_compared_with_the_clusters_nearest_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(density, "SEARCHED", 2)
    monkeypatch.setattr(density, "CANDIDATES", 1)
    angles = np.radians([0, 30, 60, 31, 29])  # the last two on both sides of the second centroid
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    made = Clustered(points.astype(np.float16), np.array([0, 1, 2, 1, 1]), points[:3])
    bins = (Bin(0, 0, 3),)
    in_parts = np.zeros(5, int)
    found = measured(tmp_path / "files", made, neighbours=3, bins=bins, in_parts=in_parts)
    distances = 1 - np.cos(np.radians([30, 31]))
    # Three neighbours at 31 degrees: two in its cluster, one in that at 60 degrees, not at 0.
    np.testing.assert_allclose(found["sparsity"][3], 1 - np.cos(np.radians(29)), atol=1e-3)
    np.testing.assert_allclose(found["sparsity"][4], 1 - np.cos(np.radians(29)), atol=1e-3)
    np.testing.assert_allclose(found["sparsity"][0], distances[1], atol=1e-3)


def test_the_step_measures_density_unless_neighbours_is_0() -> None:
    corpus = in_parts(embedded(mixture(300, 16, 5), missing=(7,)), 100)
    found = [outcome.columns for _, outcome in decide(Cluster(k=5), corpus, 5)]
    sparse = pa.concat_tables(map(pa.table, found))["sparse"]
    assert (sparse.null_count, pc.sum(sparse).as_py()) == (1, 30)
    without = decide(Cluster(k=5, neighbours=0), corpus, 5)
    for columns, (_, outcome) in zip(found, without, strict=True):
        assert {*columns} - {*outcome.columns} == {"density", "sparsity", "sparse"}
        assert all(columns[name].equals(values) for name, values in outcome.columns.items())


@pytest.mark.parametrize("rows", [0, 4])
def test_a_corpus_without_vectors_has_no_densities(rows: int) -> None:
    table = embedded(np.zeros((rows, 4), np.float16), missing=tuple(range(rows)))
    [(_, outcome)] = decide(Cluster(k=3), in_parts(table))
    assert outcome.columns["sparse"].to_pylist() == [None] * rows
