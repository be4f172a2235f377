"""The step `cluster`: what it promises about records, clusters and parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from clustering.cluster import Cluster
from clustering.kmeans import bins, quality, sample
from clustering.kmeans.table import read_table
from curate.engine.progress import Progress
from manifests.errors import StepError
from tests.clustering.embeddings import VECTOR, embedded, in_parts, mixture
from tests.filters.corpus_steps import MemoryCorpus, decide, temporary_workspace
from tests.filters.rows import step_context


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


@pytest.mark.parametrize("shard_rows", [1 << 16, 300])
@pytest.mark.parametrize("more", [{}, {"cells": 5}], ids=["flat", "cells"])
def test_measures_do_not_depend_on_the_parts(
    monkeypatch: pytest.MonkeyPatch, shard_rows: int, more: dict[str, Any]
) -> None:
    monkeypatch.setattr(sample, "SHARD_ROWS", shard_rows)
    monkeypatch.setattr(bins, "BIN_BYTES", 100 * shard_rows)
    table = embedded(mixture(3000, 24, 30), missing=(5, 900))
    settings = {"k": 30, "sample": 40, "rounds": 5, **more}
    whole = clustered(in_parts(table), **settings)
    assert whole.equals(clustered(in_parts(table, 1, 7, 1500, 1500, 2999), **settings))


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


def test_the_sampled_silhouette_does_not_depend_on_parts_and_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(quality, "SILHOUETTES", 50)
    table, found = embedded(mixture(900, 16, 9)), []
    backwards = table.take(pa.array(np.arange(900)[::-1]))
    for corpus in (in_parts(table), in_parts(backwards, 1, 300, 301, 850)):
        with temporary_workspace() as workspace:
            fit = Cluster(k=9, rounds=5, neighbours=0).fit(corpus, workspace, 5)
            found.append(read_table(fit.table).quality)
    assert found[0] == found[1]


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
    found = clustered(in_parts(embedded(np.ones((1, 4), np.float16))), k=3, neighbours=0)
    assert found.to_pylist() == [{"id": 0, "distance": 0.0, "nearest": [0]}]


def test_vectors_of_different_lengths_are_refused() -> None:
    one, other = embedded(mixture(4, 8, 2)), embedded(mixture(4, 6, 2))
    with pytest.raises(StepError, match="different numbers of values: 6 and 8"):
        decide(Cluster(k=2), MemoryCorpus((one, other)))


def test_lists_of_variable_length_and_float32_are_read_too() -> None:
    table = embedded(mixture(200, 8, 4))
    lists = table[VECTOR].cast(pa.list_(pa.float32()))
    other = table.set_column(1, VECTOR, lists)
    assert clustered(in_parts(table), k=4).equals(clustered(in_parts(other), k=4))


def test_levels_are_clusters_of_clusters() -> None:
    corpus = in_parts(embedded(mixture(900, 16, 40), missing=(3,)), 500)
    settings: dict[str, Any] = {"levels": [40, 8, 3], "resamplings": 2}
    found = clustered(corpus, **settings)
    paths = [path for path in found["path"].to_pylist() if path is not None]
    assert found["path"][3].as_py() is None
    assert {len(path) for path in paths} == {3}
    assert [path[2] for path in paths] == found["id"].drop_null().to_pylist()
    above = {path[2]: path[:2] for path in paths}
    assert all(above[path[2]] == path[:2] for path in paths)
    assert len({path[0] for path in paths}) == 3
    assert clustered(in_parts(pa.concat_tables(corpus.tables), 13, 700), **settings).equals(found)


def test_clusters_in_cells_are_nearly_as_good() -> None:
    vectors = mixture(6000, 16, 60)
    table = embedded(vectors)
    flat = clustered(in_parts(table), k=100, sample=60, rounds=10)
    two = clustered(in_parts(table, 2500), k=100, cells=10, sample=60, rounds=10)
    means = [float(np.asarray(found["distance"]).mean()) for found in (flat, two)]
    assert means[1] < 1.1 * means[0]
    assert len(set(two["id"].to_pylist())) == 100
    assert two.equals(clustered(in_parts(table, 1, 4000), k=100, cells=10, sample=60, rounds=10))


LABELS = [None if i % 5 else i % 9 // 3 for i in range(900)]


def test_the_table_of_clusters_is_kept() -> None:
    vectors = mixture(900, 16, 9, spread=0.05)
    table = embedded(vectors).append_column("label", pa.array(LABELS))
    step = Cluster(levels=(9, 3), labels="label")
    with temporary_workspace() as workspace, step_context(step, seed=3) as context:
        corpus = in_parts(table, 400)
        fit = step.fit(corpus, workspace, 3)
        outcomes = [
            step.apply(corpus.read(part), fit, context._replace(part=part)) for part in corpus.parts
        ]
        (entry,) = outcomes[0].files
        assert not outcomes[1].files
        kept = read_table(f"{workspace.kept}/{entry.name}")
    ids = pa.concat_arrays([outcome.columns["id"] for outcome in outcomes])
    sizes = np.bincount(np.asarray(ids), minlength=9)
    first = kept.rows.filter(pa.compute.equal(kept.rows["level"], 1))
    assert first["size"].to_pylist() == sizes.tolist()
    assert set(first["parent"].to_pylist()) == {0, 1, 2}
    assert kept.rows["size"].to_pylist()[9:] == [
        int(sizes[np.asarray(first["parent"]) == parent].sum()) for parent in range(3)
    ]
    distance = np.concatenate([np.asarray(outcome.columns["distance"]) for outcome in outcomes])
    assert kept.quality["inertia"] == pytest.approx(2 * distance.sum(dtype=np.float64), abs=1e-2)
    assert kept.quality["records"] == 900
    labels, own = np.array([-1 if one is None else one for one in LABELS]), np.asarray(ids)
    pure = sum(np.bincount(labels[(own == c) & (labels >= 0)]).max() for c in range(9))
    assert kept.quality["purity"] == pytest.approx(pure / (labels >= 0).sum(), abs=1e-4)
    assert 0.5 < kept.quality["silhouette"] <= 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"k": 5, "levels": [9, 3]}, "k and levels are both set"),
        ({"levels": [3, 9]}, "the lowest level comes first"),
        ({"levels": [9, 8, 7, 6, 5]}, "write a number for each level"),
        ({"k": 10, "cells": 10}, "must be less than the number of clusters, 10"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Cluster(**settings)


def test_inertia_is_about_that_of_faiss() -> None:
    import faiss

    vectors = mixture(4000, 16, 100, spread=0.5)
    found = clustered(in_parts(embedded(vectors)), k=50, sample=80)
    units = vectors.astype(np.float32)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    means = faiss.Kmeans(16, 50, niter=25, seed=1, spherical=True)
    means.train(units)
    assert means.centroids is not None
    cosines = (units @ means.centroids.T).max(axis=1)
    assert np.asarray(found["distance"]).mean() == pytest.approx((1 - cosines).mean(), rel=0.05)


def test_notes_state_what_is_unusual(capsys: pytest.CaptureFixture[str]) -> None:
    vectors = np.repeat(np.eye(3, dtype=np.float16), 4, axis=0)
    vectors[5] = 0
    corpus = in_parts(embedded(vectors, missing=(1, 2)))
    with temporary_workspace() as workspace:
        spoken = workspace._replace(progress=Progress())
        Cluster(k=9).fit(corpus, spoken, 1)
    printed = capsys.readouterr().err
    assert "3 records are in no cluster: 2 without a vector, 1 with a vector that is all" in printed
    many = "9 clusters are many for 9 records: similar records will be in different clusters"
    assert f"{many}. The square root of the number of records, 3, is a common choice" in printed
    assert "3 clusters instead of 9: the sample has too few different vectors" in printed
    assert "3 clusters of 2 to 4 records (0 empty), mean distance 0.000" in printed
