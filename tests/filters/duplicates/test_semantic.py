"""`by: semantic`: every pair of records with a cluster in common is compared."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from filters.duplicates.duplicates import Duplicates
from filters.duplicates.kinds import semantic
from filters.duplicates.kinds.contract import Entries
from filters.duplicates.kinds.identity import combine_hashes
from filters.duplicates.kinds.semantic import Semantic
from manifests.errors import StepError
from tests.filters.corpus_steps import decide
from tests.filters.duplicates.brute_force import Links, assert_same, links
from tests.filters.duplicates.outcomes import RecordOutcome, families, find_duplicates
from tests.filters.duplicates.records import in_parts, row, table

HALF = 2e-3
"""More than the error of float16."""
SETTINGS = {"by": "semantic", "embedding": "embed.vector", "threshold": 0.9, "keep": "id"}


def vectors(seed: int, count: int = 90, dimensions: int = 30) -> np.ndarray:
    """Vectors around a few centres, of any length; none has a cosine close to the threshold."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(12, dimensions))
    made = np.empty((0, dimensions))
    while len(made) < count:
        one = centres[random.integers(12)] + random.normal(scale=0.33, size=dimensions)
        cosine = made @ one / np.linalg.norm(made, axis=1) / np.linalg.norm(one)
        if (abs(cosine - 0.9) > HALF).all():
            made = np.vstack([made, one])
    return (made * random.uniform(0.01, 100, (count, 1))).astype(np.float32)


def near_clusters(found: np.ndarray, seed: int) -> list[list[int]]:
    """The numbers of the two nearest centres of each vector."""
    centres = np.random.default_rng(seed).normal(size=(6, found.shape[1]))
    return (-(found @ centres.T)).argsort(axis=1)[:, :2].tolist()


def rows_of(seed: int, **columns: Any) -> list[dict[str, Any]]:
    drawn = vectors(seed)
    nearest = near_clusters(drawn, seed)
    return [
        row(f"v{n}", vector=vector.tolist(), nearest=near, cluster=near[0])
        for n, (vector, near) in enumerate(zip(drawn, nearest, strict=True))
    ]


def cosine(one: dict[str, Any], other: dict[str, Any]) -> float:
    a, b = (np.array(r["embed.vector"], np.float64) for r in (one, other))
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def compared(rows: list[dict[str, Any]], by: str | None) -> Links:
    def alike(one: dict[str, Any], other: dict[str, Any]) -> float | None:
        a, b = ({one[by]}, {other[by]}) if by == "embed.cluster" else (set(), set())
        if by == "embed.nearest":
            a, b = set(one[by]), set(other[by])
        return cosine(one, other) if by is None or a & b else None

    return links(rows, alike, 0.9)


@pytest.mark.parametrize("clusters", [None, "embed.cluster", "embed.nearest"])
@pytest.mark.parametrize("seed", [1, 2])
def test_families_are_those_of_comparing_all_pairs_within_the_clusters(
    seed: int, clusters: str | None
) -> None:
    rows = rows_of(seed)
    found = compared(rows, clusters)
    assert len(found) > 60
    assert_same(find_duplicates(rows, clusters=clusters, **SETTINGS), found, HALF)


def test_fewer_pairs_are_missed_with_two_clusters_than_with_one() -> None:
    counts = [len(compared(rows_of(1), c)) for c in ("embed.cluster", "embed.nearest", None)]
    assert counts == sorted(set(counts))


@pytest.mark.parametrize("tile", [2, 7, 64, 512])
def test_the_size_of_tiles_does_not_change_the_pairs(
    monkeypatch: pytest.MonkeyPatch, tile: int
) -> None:
    found = compared(rows_of(3), None)
    monkeypatch.setattr(semantic, "TILE", tile)
    assert_same(find_duplicates(rows_of(3), **SETTINGS), found, HALF)


def test_each_pair_is_found_once_and_no_vector_with_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(semantic, "TILE", 4)
    unit = np.zeros((11, 4), np.float16)
    unit[:, 0] = 1
    keys = np.array([3] * 10 + [5], np.uint64)
    entries = Entries(keys, np.arange(11, dtype=np.uint64), unit.view(np.uint64))
    pairs, similarity = Semantic(0.9, "x", None, 4).candidates(entries)
    assert sorted(map(tuple, pairs.tolist())) == [
        (i, j) for i in range(10) for j in range(i + 1, 10)
    ]
    assert set(similarity.tolist()) == {1.0}


def test_reducing_many_pairs_to_a_forest_early_changes_no_family(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = rows_of(4)
    found = compared(rows, None)
    monkeypatch.setattr(semantic, "TILE", 8)
    monkeypatch.setattr(semantic, "MAX_PAIRS", 10)
    assert len(found) > 40
    assert_same(find_duplicates(rows, **SETTINGS), found, HALF)


def test_records_without_an_embedding_or_with_an_invalid_one_are_never_duplicates() -> None:
    invalid: list[Any] = [None, [0.0] * 3, [float("nan"), 1, 1], [float("inf"), 0, 0]]
    rows = [row(str(n), vector=vector) for n, vector in enumerate(invalid * 2)]
    rows += [row("a", vector=[1, 2, 3]), row("b", vector=[2, 4, 6])]
    outcomes = find_duplicates(rows, **SETTINGS)
    assert families(outcomes) == {frozenset("ab")}
    assert outcomes["0"] == RecordOutcome()


def test_a_corpus_without_any_embedding_keeps_all() -> None:
    rows = [row(key, vector=None) for key in "abc"]
    assert set(find_duplicates(rows, **SETTINGS).values()) == {RecordOutcome()}


def test_a_corpus_without_any_embedding_is_compared_with_an_index_that_has_some() -> None:
    index = pa.table({"v": pa.array([[1.0, 0.0], [0.0, 1.0]], pa.list_(pa.float32()))})
    units = Semantic(0.9, "v", None, dimensions=0).describe(index)
    assert (units.present.tolist(), len(units.keys)) == ([False, False], 0)


def test_records_without_a_cluster_are_duplicates_of_equal_ones_only() -> None:
    nearest: list[tuple[str, Any]] = [("a", None), ("b", []), ("c", [None]), ("d", [None])]
    rows = [
        row(key, vector=[1.0, n / 100], cluster=None, nearest=near)
        for n, (key, near) in enumerate(nearest)
    ]
    rows += [row("e", vector=[1.0, 0.0], cluster=None)]
    assert families(find_duplicates(rows, clusters="embed.cluster", **SETTINGS)) == {
        frozenset("ae")
    }
    assert families(find_duplicates(rows, clusters="embed.nearest", **SETTINGS)) == {
        frozenset("ae")
    }


def test_nulls_in_a_list_of_clusters_are_ignored() -> None:
    nearest: dict[str, Any] = {"a": [None, 1], "b": None, "c": [1, None], "d": [2], "e": [None, 2]}
    rows = [row(key, vector=[1.0, n / 100], nearest=nearest[key]) for n, key in enumerate(nearest)]
    found = families(find_duplicates(rows, 1, clusters="embed.nearest", **SETTINGS))
    assert found == {frozenset("ac"), frozenset("de")}


def test_embeddings_of_several_lengths_are_an_error_that_names_the_lengths() -> None:
    rows = [row("a", vector=[1.0, 0.0]), row("b", vector=[1.0, 0.0, 0.0])]
    with pytest.raises(StepError, match=r"embed\.vector.*numbers of dimensions: 2 and 3"):
        find_duplicates(rows, **SETTINGS)


def test_no_similarity_is_above_one() -> None:
    random = np.random.default_rng(5)
    base = random.normal(size=(1, 384))
    found = base + random.normal(scale=1e-3, size=(40, 384))
    rows = [row(str(n), vector=vector.tolist()) for n, vector in enumerate(found)]
    outcomes = find_duplicates(rows, **SETTINGS)
    assert len(families(outcomes)) == 1
    assert max(one.similarity or 0 for one in outcomes.values()) <= 1


@pytest.mark.parametrize("kind", [
    pa.list_(pa.float64()), pa.list_(pa.float16()), pa.list_(pa.float32(), 3),
    pa.large_list(pa.float32()),
])  # fmt: skip
def test_embeddings_may_be_lists_of_any_floats(kind: pa.DataType) -> None:
    rows = [row(key, vector=v) for key, v in (("a", [1, 2, 3]), ("b", [2, 4, 6]), ("c", [3, 2, 1]))]
    made = table(rows)
    at = made.schema.get_field_index("embed.vector")
    column = pa.array([one["embed.vector"] for one in rows], pa.list_(pa.float32())).cast(kind)
    corpus = in_parts(rows, 1)._replace(tables=(made.set_column(at, "embed.vector", column),))
    ((_, outcome),) = decide(Duplicates.model_validate(SETTINGS), corpus)
    assert outcome.columns["family"].to_pylist() == [2, 2, 1]


def test_vectors_of_any_length_are_packed_without_loss() -> None:
    """Four float16 are one word; the last word may be padded."""
    for dimensions in (1, 3, 4, 5, 8, 9):
        last = np.zeros((2, dimensions))
        last[:, 0] = 1
        last[1, -1] = -2
        rows = [row(str(n), vector=vector.tolist()) for n, vector in enumerate(last)]
        assert families(find_duplicates(rows, **SETTINGS)) == set()


def test_different_clusters_have_different_keys() -> None:
    rows = table([row(str(n), vector=[1.0, n], nearest=[n, n + 1]) for n in range(50)])
    units = Semantic(0.9, "embed.vector", "embed.nearest", 2).describe(rows)
    assert units.owners.tolist() == [n // 2 for n in range(100)]
    numbers = np.array([[n, n + 1] for n in range(50)], np.uint64).reshape(-1)
    assert units.keys.tolist() == combine_hashes(numbers, np.zeros(100, np.uint64)).tolist()
    assert len(set(units.keys.tolist())) == 51


def test_a_cosine_is_exact_for_any_size_of_tiles(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    random = np.random.default_rng(8)
    some = random.normal(size=(60, 1003)) + random.normal(size=1003)
    halves = np.zeros((60, 1004), np.float16)
    halves[:, :1003] = some / np.linalg.norm(some, axis=1, keepdims=True)
    entries = Entries(
        np.zeros(60, np.uint64), np.arange(60, dtype=np.uint64), halves.view(np.uint64)
    )
    for tile in (4, 64):
        monkeypatch.setattr(semantic, "TILE", tile)
        pairs, similarity = Semantic(0.5, "x", None, 1003).candidates(entries)
        products = halves.astype(float)[pairs[:, 0]] * halves.astype(float)[pairs[:, 1]]
        assert similarity.tolist() == [np.float32(math.fsum(row)) for row in products.tolist()]
        assert len(pairs) > 20
