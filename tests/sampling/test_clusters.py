"""Representatives, outliers and hierarchical samples of clusters, against plain definitions."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from curate.engine.ray import RayExecutor
from curate.sampling.hierarchical import Hierarchical
from curate.sampling.outliers import Outliers
from curate.sampling.representatives import Representatives
from curate.sampling.selection import limits
from manifests.errors import StepError
from manifests.step import CorpusStep
from tests.filters.corpus_steps import decide
from tests.make import write_texts
from tests.runs import file_bytes, row_counts, run_steps
from tests.sampling.corpora import SEED, in_parts, table

ROWS = 3000


def corpus(rows: int = ROWS, values: int = 400) -> pa.Table:
    """Records in 3 x 4 clusters of different sizes. Of their distances many are equal, and every
    50th is null."""
    drawn = np.random.default_rng(3)
    top = np.searchsorted(np.cumsum([0.7, 0.25]), drawn.random(rows))
    path = np.stack([top, 4 * top + np.minimum(drawn.geometric(0.5, rows) - 1, 3)], axis=1)
    distance = drawn.integers(0, values, rows) / values
    missing = np.arange(rows) % 50 == 49
    lists = pa.array(path.tolist(), pa.list_(pa.int32()))
    return table(
        rows,
        **{
            "cluster.id": pa.array(path[:, 1].astype(np.int32)),
            "cluster.path": lists,
            "cluster.distance": pa.array(distance.astype(np.float32), mask=missing),
            "cluster.density": pa.array((1 - distance).astype(np.float32), mask=missing),
        },
    )


def reasons_of(step: CorpusStep, whole: pa.Table, parts: int = 4, seed: int = SEED) -> list[Any]:
    """The drop reason of each record."""
    outcomes = decide(step, in_parts(whole, parts), seed)
    return [one for _, outcome in outcomes for one in (outcome.drop or pa.array([])).to_pylist()]


def ranked(whole: pa.Table, column: str, sign: int = 1) -> list[tuple[float, str, int]]:
    """(value, id, row) of the records with a value, sorted."""
    rows = enumerate(zip(whole[column].to_pylist(), whole["id"].to_pylist(), strict=True))
    return sorted((sign * value, key, row) for row, (value, key) in rows if value is not None)


def test_0_and_minus_0_are_equal_so_that_ids_decide() -> None:
    whole = table(2, **{"cluster.id": pa.array([1, 1]), "cluster.distance": pa.array([0.0, -0.0])})
    later = int(whole["id"][0].as_py() < whole["id"][1].as_py())
    for values in ([0.0, -0.0], [-0.0, 0.0]):
        some = whole.set_column(
            whole.schema.get_field_index("cluster.distance"), "cluster.distance", pa.array(values)
        )
        kept = [one is None for one in reasons_of(Representatives(count=1), some, 1)]
        assert kept == [later == 1, later == 0]


@pytest.mark.parametrize(("order", "sign"), [("cluster.distance", 1), ("-cluster.density", -1)])
@pytest.mark.parametrize("parts", [1, 7])
def test_the_nearest_records_of_each_cluster_are_kept(order: str, sign: int, parts: int) -> None:
    whole, count = corpus(), 40
    found = reasons_of(Representatives(count=count, order=order), whole, parts)
    cluster, taken, expected = whole["cluster.id"].to_pylist(), Counter[int](), set()
    for _, _, row in ranked(whole, order.removeprefix("-"), sign):
        taken[cluster[row]] += 1
        if taken[cluster[row]] <= count:
            expected.add(row)
    assert {row for row, reason in enumerate(found) if reason is None} == expected
    assert min(taken.values()) < count < max(taken.values())
    assert Counter(found)["no value to order by"] == ROWS // 50


@pytest.mark.parametrize("by", [None, "cluster.id"])
@pytest.mark.parametrize(("of", "sign"), [("cluster.density", 1), ("-cluster.distance", -1)])
def test_the_share_with_the_lowest_values_is_dropped(by: str | None, of: str, sign: int) -> None:
    whole = corpus()
    settings = {"share": 0.1, "of": of} | ({} if by is None else {"by": by})
    found = reasons_of(Outliers.model_validate(settings), whole)
    group = [None] * ROWS if by is None else whole[by].to_pylist()
    rows = ranked(whole, of.removeprefix("-"), sign)
    sizes = Counter(group[row] for _, _, row in rows)
    taken, expected = Counter[int | None](), set()
    for _, _, row in rows:
        taken[group[row]] += 1
        if taken[group[row]] <= round(0.1 * sizes[group[row]]):
            expected.add(row)
    assert {row for row, reason in enumerate(found) if reason == "outlier"} == expected
    assert len(expected) == pytest.approx(0.1 * len(rows), abs=6)


def test_outliers_may_be_those_over_a_bound() -> None:
    whole = corpus()
    found = reasons_of(Outliers(of="cluster.distance", max=0.75, min=0.1), whole)
    values = whole["cluster.distance"].to_pylist()
    outside = [value is not None and not 0.1 <= value <= 0.75 for value in values]
    assert [reason == "outlier" for reason in found] == outside


@pytest.mark.parametrize(
    "settings",
    [{}, {"share": 0.1, "max": 1}, {"max": 1, "by": "source"}, {"max": 1, "of": "-x"},
     {"min": 2, "max": 1}],
)  # fmt: skip
def test_contradictions_of_outliers_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"share|over max"):
        Outliers.model_validate(settings)


def water(total: int, sizes: dict[int, int]) -> dict[int, float]:
    """The quotas of Vo et al. 2024, by bisection: min(x, size), with the sum `total`."""
    low, high = 0.0, float(max(sizes.values()))
    for _ in range(100):
        x = (low + high) / 2
        low, high = (x, high) if sum(min(x, n) for n in sizes.values()) < total else (low, x)
    return {cluster: min(high, n) for cluster, n in sizes.items()}


@pytest.mark.parametrize("records", [1, 300, 1500, ROWS, 2 * ROWS])
@pytest.mark.parametrize("order", [None, "cluster.distance"])
def test_a_sample_is_balanced_over_the_levels_of_clusters(records: int, order: str | None) -> None:
    whole = corpus()
    found = reasons_of(Hierarchical(records=records, order=order), whole)
    usable = [reason != "no value to order by" for reason in found]
    paths = [tuple(path) for path in whole["cluster.path"].to_pylist()]
    sizes = Counter(path for path, use in zip(paths, usable, strict=True) if use)
    kept = Counter(p for p, reason in zip(paths, found, strict=True) if reason is None)
    assert sum(kept.values()) == min(records, sum(sizes.values()))
    tops = Counter[int]()
    for (top, _), size in sizes.items():
        tops[top] += size
    for top, quota in water(records, tops).items():
        own = {path[1]: size for path, size in sizes.items() if path[0] == top}
        assert sum(kept[top, leaf] for leaf in own) == pytest.approx(quota, abs=1)
        for leaf, inner in water(round(quota), own).items():
            assert kept[top, leaf] == pytest.approx(inner, abs=2)


def test_inside_a_cluster_the_nearest_or_random_records_are_kept() -> None:
    whole = corpus().filter(pa.array(np.arange(ROWS) % 50 != 49))
    near = reasons_of(Hierarchical(records=500, order="cluster.distance"), whole)
    drawn = reasons_of(Hierarchical(records=500), whole)
    distance = np.asarray(whole["cluster.distance"])
    kept = [np.array([reason is None for reason in found]) for found in (near, drawn)]
    cluster = np.asarray(whole["cluster.id"])
    for leaf in np.unique(cluster):
        own = distance[cluster == leaf]
        nearest, outside = own[kept[0][cluster == leaf]], own[~kept[0][cluster == leaf]]
        assert not len(outside) or nearest.max() <= outside.min()
    assert distance[kept[1]].mean() == pytest.approx(distance.mean(), abs=0.05)


def test_the_probabilities_of_a_hierarchical_sample_estimate_the_corpus() -> None:
    whole = corpus(20_000)
    outcomes = decide(Hierarchical(records=6000), in_parts(whole, 3), SEED)
    probability = np.concatenate([np.asarray(o.columns["probability"]) for _, o in outcomes])
    kept = np.concatenate([np.asarray(o.drop.is_null()) for _, o in outcomes if o.drop])
    assert kept.sum() == 6000
    assert (1 / probability[kept]).sum() == pytest.approx(20_000, rel=0.02)


def test_records_without_clusters_are_dropped_with_the_reason() -> None:
    paths = pa.array([[1, 2], None, [], [1, None], [1, 3]], pa.list_(pa.int32()))
    whole = table(5, **{"cluster.path": paths})
    found = reasons_of(Hierarchical(records=5), whole, parts=2)
    assert found == [None, "no cluster", "no cluster", "no cluster", None]
    uneven = table(2, **{"cluster.path": pa.array([[1], [1, 2]])})
    with pytest.raises(StepError, match="lists of 1 and of 2 clusters"):
        reasons_of(Hierarchical(records=1), uneven)


STEPS = [
    Representatives(count=9),
    Outliers(share=0.3, by=("cluster.id",)),
    Hierarchical(records=99),
    Hierarchical(records=99, order="-cluster.density"),
]


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_any_partition_and_order_give_the_same_records(step: CorpusStep) -> None:
    whole = corpus()
    shuffled = whole.take(pa.array(np.random.default_rng(1).permutation(ROWS)))
    found = [
        dict(zip(rows["id"].to_pylist(), reasons_of(step, rows, parts), strict=True))
        for rows, parts in ((whole, 1), (whole, 9), (shuffled, 4))
    ]
    assert found[0] == found[1] == found[2]
    assert None in found[0].values()
    assert len(set(found[0].values())) > 1


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_a_corpus_without_records_has_no_outcomes(step: CorpusStep) -> None:
    assert reasons_of(step, corpus().slice(0, 0), parts=1) == []


@pytest.mark.parametrize("few", [1, 64, 1 << 20])
def test_very_many_equal_values_are_divided_by_their_ids(
    few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "_FEW", few)
    whole = corpus(values=2)
    found = reasons_of(Representatives(count=100), whole)
    assert found == reasons_of(Representatives(count=100), whole, parts=1)
    for cluster, size in Counter(whole["cluster.id"].to_pylist()).items():
        own = [r for r, c in zip(found, whole["cluster.id"].to_pylist(), strict=True)
               if c == cluster]  # fmt: skip
        assert own.count(None) == min(100, size - own.count("no value to order by"))


CLUSTERED: list[dict[str, Any]] = [
    {"tests.engine.pieces:Embed": {}},
    {"cluster": {"of": "Embed.vector", "levels": [8, 2], "rounds": 3}},
    {"outliers": {"share": 0.1}},
    {"representatives": {"count": 25}},
    {"hierarchical": {"records": 100}},
]


def test_the_clusters_of_a_run_are_selected_from(ray: None, tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(200, 8))
    write_texts(tmp_path / "data", [f"text {n}" for n in range(200)], vector=vectors.tolist())
    counts = row_counts(run_steps(tmp_path, "inline", *CLUSTERED))
    assert counts["outliers"] == (200, 180, {"outlier": 20}, {})
    assert counts["representatives"][1] == counts["hierarchical"][0] > 100
    assert counts["hierarchical"][1] == 100
    run_steps(tmp_path, "ray", *CLUSTERED, executor=RayExecutor(2))
    assert file_bytes(tmp_path / "ray") == file_bytes(tmp_path / "inline")
