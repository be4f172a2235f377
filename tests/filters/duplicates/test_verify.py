"""Phase 3: features of candidate pairs are written slice by slice, and compared."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from filters.duplicates.corpus.units import Source, unit_ids
from filters.duplicates.files.edges import Edges
from filters.duplicates.phases import verify
from filters.duplicates.phases.verify import verify_pairs
from manifests.storage import parts
from tests.filters.corpus_steps import temporary_workspace

MIN_SIMILARITY = 0.5


class SharedNumbers:
    """The similarity of two units is the share of numbers that their lists have in common."""

    columns = ("x",)
    min_similarity = MIN_SIMILARITY

    def features(self, table: pa.Table) -> pa.Array:
        return table["x"]

    def similarity(self, pairs: np.ndarray, features: pa.Array) -> np.ndarray:
        known = [set(values) for values in features.to_pylist()]
        shares = [len(known[a] & known[b]) / len(known[a] | known[b]) for a, b in pairs.tolist()]
        return np.array(shares, np.float32)


def family(number: int, size: int) -> list[list[int]]:
    """Lists that share most numbers with each other, and none with other families."""
    return [[*range(100 * number, 100 * number + 20), 100 * number + 50 + n] for n in range(size)]


def in_sources(units: list[list[int]], sources: int) -> tuple[list[Source], Any, np.ndarray]:
    """Units dealt out to sources: the sources, how features are read, and the ids of the units."""
    column = pa.array(units, pa.list_(pa.uint32()))

    def read(source: Source, own: np.ndarray) -> pa.Array:
        assert own.tolist() == sorted(set(own.tolist()))
        return column.take(pa.array(own * sources + source.number))

    rows = np.arange(len(units))
    number = np.concatenate([unit_ids(n % sources, rows[n : n + 1] // sources) for n in rows])
    return [Source(n, f"part-{n}") for n in range(sources)], read, number


def candidates(number: np.ndarray, pairs: list[tuple[int, int]]) -> Edges:
    a, b = (number[[pair[side] for pair in pairs]] for side in (0, 1))
    return Edges.between(a, b, np.zeros(len(pairs)))


def all_pairs(sizes: list[int]) -> list[tuple[int, int]]:
    """All pairs within each family, and one between neighbours that have nothing in common."""
    starts = np.concatenate([[0], np.cumsum(sizes)]).tolist()
    families = (range(start, end) for start, end in itertools.pairwise(starts))
    within = [pair for family in families for pair in itertools.combinations(family, 2)]
    return within + [(start - 1, start) for start in starts[1:-1]]


@pytest.mark.parametrize("pairs_per_slice", [1, 2, 7, 1000])
@pytest.mark.parametrize("sources", [1, 3])
def test_pairs_stay_if_their_features_are_similar_enough(
    monkeypatch: pytest.MonkeyPatch, pairs_per_slice: int, sources: int
) -> None:
    monkeypatch.setattr(verify, "SLICE_PAIRS", pairs_per_slice)
    sizes = [4, 1, 3, 5, 2]
    units = [unit for number, size in enumerate(sizes) for unit in family(number, size)]
    known, read, number = in_sources(units, sources)
    pairs = all_pairs(sizes)
    with temporary_workspace() as workspace:
        Path(workspace.scratch).mkdir()
        found = verify_pairs(candidates(number, pairs), SharedNumbers(), known, read, workspace)
    links = {frozenset((a, b)) for a, b in zip(found.a.tolist(), found.b.tolist(), strict=True)}
    within = {frozenset((int(number[a]), int(number[b]))) for a, b in pairs[:-4]}
    assert links <= within
    assert found.similarity.tolist() == pytest.approx([20 / 22] * len(links))
    joined = {int(unit): {int(unit)} for unit in number}
    for a, b in map(sorted, links):
        both = joined[a] | joined[b]
        joined |= dict.fromkeys(both, both)
    assert sorted({len(some) for some in joined.values()}) == sorted(set(sizes))
    if pairs_per_slice == 1000:
        assert len(links) == sum(size - 1 for size in sizes)  # just enough to connect them


def test_features_are_written_little_more_than_once_as_pairs_of_a_family_are_adjacent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(verify, "SLICE_PAIRS", 20)
    sizes = [5] * 20
    units = [unit for number, size in enumerate(sizes) for unit in family(number, size)]
    known, read, number = in_sources(units, 2)
    within = all_pairs(sizes)[:-19]
    shuffled = np.random.default_rng(1).permutation(within).tolist()
    with temporary_workspace() as workspace:
        Path(workspace.scratch).mkdir()
        verify_pairs(candidates(number, shuffled), SharedNumbers(), known, read, workspace)
        files = list(Path(workspace.scratch, "features").glob("*.features.arrow"))
        rows = sum(parts.read_columns(str(path)).num_rows for path in files)
    assert len(files) == 2
    assert len(units) <= rows <= 1.2 * len(units)


def test_without_candidates_no_work_is_done() -> None:
    with temporary_workspace() as workspace:
        found = verify_pairs(Edges.joined([]), SharedNumbers(), [], None, workspace)
        assert not Path(workspace.scratch).exists()
    assert len(found.a) == 0
