"""The step `cluster`: what it promises about records, clusters and parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from clustering.cluster import Cluster
from manifests.errors import StepError
from tests.clustering.embeddings import VECTOR, embedded, in_parts, mixture
from tests.filters.corpus_steps import MemoryCorpus, decide


def clustered(corpus: MemoryCorpus, **settings: Any) -> pa.Table:
    """The measures of all records, in order of the corpus."""
    outcomes = decide(Cluster(**settings), corpus, 5)
    tables = [pa.table(outcome.columns) for _, outcome in outcomes]
    return pa.concat_tables(tables).combine_chunks()


def test_records_of_a_mode_share_a_cluster() -> None:
    found = clustered(in_parts(embedded(mixture(600, 16, 3, spread=0.1)), 100), k=3)
    clusters = np.asarray(found["id"])
    assert [len(set(clusters[mode::3].tolist())) for mode in range(3)] == [1, 1, 1]
    assert len(set(clusters[:3].tolist())) == 3


def test_measures_do_not_depend_on_the_parts() -> None:
    table = embedded(mixture(3000, 24, 30), missing=(5, 900))
    whole = clustered(in_parts(table), k=30, sample=40)
    assert whole.equals(clustered(in_parts(table, 1, 7, 1500, 1500, 2999), k=30, sample=40))


def test_distance_and_nearest_are_those_of_the_centroids() -> None:
    vectors = mixture(500, 12, 8)
    found = clustered(in_parts(embedded(vectors)), k=8, rounds=50)
    units = vectors.astype(np.float64)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    clusters = np.asarray(found["id"])
    means = np.stack([units[clusters == c].sum(axis=0) for c in range(8)])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    cosines = units @ means.T
    order = np.argsort(-cosines, axis=1)[:, :2]
    assert found["nearest"].to_pylist() == order.tolist()
    assert np.allclose(np.asarray(found["distance"]), 1 - cosines.max(axis=1), atol=1e-3)


def test_records_without_a_direction_are_in_no_cluster() -> None:
    vectors = mixture(60, 8, 2)
    vectors[1], vectors[2, 3], vectors[3, 0] = 0, np.nan, np.inf
    found = clustered(in_parts(embedded(vectors, missing=(0,)), 2), k=2)
    for name in ("id", "distance", "nearest"):
        assert np.flatnonzero(~np.asarray(found[name].is_valid())).tolist() == [0, 1, 2, 3]


def test_fewer_different_vectors_than_k_make_fewer_clusters() -> None:
    vectors = np.repeat(np.eye(3, dtype=np.float16), 20, axis=0)
    found = clustered(in_parts(embedded(vectors)), k=100)
    assert set(found["id"].to_pylist()) == {0, 1, 2}
    assert np.allclose(np.asarray(found["distance"]), 0, atol=1e-6)


@pytest.mark.parametrize("rows", [0, 4])
def test_a_corpus_without_vectors_has_no_clusters(rows: int) -> None:
    table = embedded(np.zeros((rows, 4), np.float16), missing=tuple(range(rows)))
    found = clustered(in_parts(table, 0), k=3)
    assert found["id"].to_pylist() == found["nearest"].to_pylist() == [None] * rows


def test_one_record_is_one_cluster() -> None:
    found = clustered(in_parts(embedded(np.ones((1, 4), np.float16))), k=3)
    assert found.to_pylist() == [{"id": 0, "distance": 0.0, "nearest": [0]}]


def test_vectors_of_different_lengths_are_refused() -> None:
    one, other = embedded(mixture(4, 8, 2)), embedded(mixture(4, 6, 2))
    with pytest.raises(StepError, match="different numbers of dimensions: 6 and 8"):
        decide(Cluster(k=2), MemoryCorpus((one, other)))


def test_lists_of_variable_length_and_float32_are_read_too() -> None:
    table = embedded(mixture(200, 8, 4))
    lists = table[VECTOR].cast(pa.list_(pa.float32()))
    other = table.set_column(1, VECTOR, lists)
    assert clustered(in_parts(table), k=4).equals(clustered(in_parts(other), k=4))
