"""What proves the pairs that met: gathered slice by slice, and compared."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from filters.duplicates.contract import units_of
from filters.duplicates.phases import proof
from filters.duplicates.phases.edges import Edges
from filters.duplicates.phases.keys import Source
from filters.duplicates.phases.proof import proven
from manifests.storage import parts
from tests.filters.corpus_steps import temporary_workspace

LEAST = 0.5


class Share:
    """Two units are as alike as their lists share numbers."""

    columns = ("x",)
    least = LEAST

    def of(self, table: pa.Table) -> pa.Array:
        return table["x"]

    def similarity(self, pairs: np.ndarray, proofs: pa.Array) -> np.ndarray:
        known = [set(values) for values in proofs.to_pylist()]
        shares = [len(known[a] & known[b]) / len(known[a] | known[b]) for a, b in pairs.tolist()]
        return np.array(shares, np.float32)


def family(number: int, size: int) -> list[list[int]]:
    """Lists that share most with each other, and nothing with other families."""
    return [[*range(100 * number, 100 * number + 20), 100 * number + 50 + n] for n in range(size)]


def distributed(units: list[list[int]], sources: int) -> tuple[list[Source], Any, np.ndarray]:
    """Units dealt out to sources, how their proofs are read, and their numbers."""
    column = pa.array(units, pa.list_(pa.uint32()))

    def read(source: Source, own: np.ndarray) -> pa.Array:
        assert own.tolist() == sorted(set(own.tolist()))
        return column.take(pa.array(own * sources + source.number))

    rows = np.arange(len(units))
    number = np.concatenate([units_of(n % sources, rows[n : n + 1] // sources) for n in rows])
    return [Source(n, f"part-{n}") for n in range(sources)], read, number


def met(number: np.ndarray, pairs: list[tuple[int, int]]) -> Edges:
    a, b = (number[[pair[side] for pair in pairs]] for side in (0, 1))
    return Edges.between(a, b, np.zeros(len(pairs)))


def all_pairs(sizes: list[int]) -> list[tuple[int, int]]:
    """Within each family, and some between neighbours that have nothing in common."""
    starts = np.concatenate([[0], np.cumsum(sizes)]).tolist()
    families = (range(start, end) for start, end in itertools.pairwise(starts))
    within = [pair for family in families for pair in itertools.combinations(family, 2)]
    return within + [(start - 1, start) for start in starts[1:-1]]


@pytest.mark.parametrize("pairs_of_a_slice", [1, 2, 7, 1000])
@pytest.mark.parametrize("sources", [1, 3])
def test_pairs_are_told_by_what_their_proofs_have_in_common(
    monkeypatch: pytest.MonkeyPatch, pairs_of_a_slice: int, sources: int
) -> None:
    monkeypatch.setattr(proof, "SLICE_PAIRS", pairs_of_a_slice)
    sizes = [4, 1, 3, 5, 2]
    units = [unit for number, size in enumerate(sizes) for unit in family(number, size)]
    known, read, number = distributed(units, sources)
    pairs = all_pairs(sizes)
    with temporary_workspace() as workspace:
        Path(workspace.scratch).mkdir()
        found = proven(met(number, pairs), Share(), known, read, workspace)
    links = {frozenset((a, b)) for a, b in zip(found.a.tolist(), found.b.tolist(), strict=True)}
    within = {frozenset((int(number[a]), int(number[b]))) for a, b in pairs[:-4]}
    assert links <= within
    assert found.similarity.tolist() == pytest.approx([20 / 22] * len(links))
    joined = {int(unit): {int(unit)} for unit in number}
    for a, b in map(sorted, links):
        whole = joined[a] | joined[b]
        joined |= dict.fromkeys(whole, whole)
    assert sorted({len(some) for some in joined.values()}) == sorted(set(sizes))
    if pairs_of_a_slice == 1000:
        assert len(links) == sum(size - 1 for size in sizes)  # no more than connect them


def test_proofs_travel_hardly_more_than_once_for_families_stand_side_by_side(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(proof, "SLICE_PAIRS", 20)
    sizes = [5] * 20
    units = [unit for number, size in enumerate(sizes) for unit in family(number, size)]
    known, read, number = distributed(units, 2)
    within = all_pairs(sizes)[:-19]
    shuffled = np.random.default_rng(1).permutation(within).tolist()
    with temporary_workspace() as workspace:
        Path(workspace.scratch).mkdir()
        proven(met(number, shuffled), Share(), known, read, workspace)
        files = list(Path(workspace.scratch, "proofs").glob("*.proofs.arrow"))
        rows = sum(parts.read_columns(str(path)).num_rows for path in files)
    assert len(files) == 2
    assert len(units) <= rows <= 1.2 * len(units)


def test_nothing_met_is_nothing_proven_and_no_work() -> None:
    with temporary_workspace() as workspace:
        found = proven(Edges.joined([]), Share(), [], None, workspace)
        assert not Path(workspace.scratch).exists()
    assert len(found.a) == 0
