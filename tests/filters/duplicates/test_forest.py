"""Families of connected units, their strongest links, and the ways to who stays."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from filters.duplicates.phases.edges import Edges
from filters.duplicates.phases.forest import Forest, forest, verdicts
from manifests.kernels.forest import spanning, towards

NODES = 60


def edges(*told: tuple[int, int, float]) -> Edges:
    a, b, similarity = (np.array(column) for column in zip(*told, strict=True))
    return Edges.between(a.astype(np.uint64), b.astype(np.uint64), similarity)


def random_edges(seed: int, count: int = 70) -> list[tuple[int, int, float]]:
    random = np.random.default_rng(seed)
    pairs = list(itertools.combinations(range(NODES), 2))
    chosen = random.choice(len(pairs), count, replace=False)
    similarity = random.integers(1, 9, count) / 8  # many are equal
    return [(*pairs[at], float(s)) for at, s in zip(chosen, similarity, strict=True)]


def components(told: list[tuple[int, int, float]]) -> dict[int, frozenset[int]]:
    known = {node: {node} for edge in told for node in edge[:2]}
    for a, b, _ in told:
        if known[a] is not known[b]:
            known[a] |= known[b]
            for node in known[b]:
                known[node] = known[a]
    return {node: frozenset(members) for node, members in known.items()}


def widest(told: list[tuple[int, int, float]]) -> dict[tuple[int, int], float]:
    """The weakest link of the best way between any two (Floyd and Warshall)."""
    best = {(n, m): 0.0 for n in range(NODES) for m in range(NODES)}
    for a, b, similarity in told:
        best[a, b] = best[b, a] = similarity
    for via, start, end in itertools.product(range(NODES), repeat=3):
        best[start, end] = max(best[start, end], min(best[start, via], best[via, end]))
    return best


@pytest.mark.parametrize("seed", range(4))
def test_units_that_hang_together_are_one_family_named_by_its_lowest(seed: int) -> None:
    told = random_edges(seed)
    wood, expected = forest(edges(*told)), components(told)
    assert wood.units.tolist() == sorted(expected)
    lowest = wood.units[wood.family].tolist()
    assert lowest == [min(expected[unit]) for unit in wood.units.tolist()]
    assert len(wood.a) == len(wood.units) - len(set(expected.values()))


@pytest.mark.parametrize("seed", range(4))
def test_the_links_kept_are_the_strongest(seed: int) -> None:
    told = random_edges(seed)
    kept = [tuple(edge) for edge in zip(*map(list, forest(edges(*told)).edges), strict=True)]
    before, after = widest(told), widest(kept)
    assert after == before


def test_of_equal_links_those_of_lower_units_are_kept_whatever_their_order() -> None:
    told = [(1, 2, 0.5), (2, 3, 0.5), (1, 3, 0.5), (3, 4, 0.5), (2, 4, 0.5), (1, 4, 0.5)]
    for order in itertools.permutations(told):
        wood = forest(edges(*order))
        links = zip(wood.edges.a.tolist(), wood.edges.b.tolist(), strict=True)
        assert sorted(links) == [(1, 2), (1, 3), (1, 4)]


def test_spanning_takes_edges_in_their_order() -> None:
    a, b = np.array([0, 1, 0, 3, 5]), np.array([1, 2, 2, 4, 5])
    kept, lowest = spanning(a, b, 7)
    assert kept.tolist() == [True, True, False, True, False]
    assert lowest.tolist() == [0, 0, 0, 3, 3, 5, 6]


def test_a_long_chain_is_one_family() -> None:
    ends = np.arange(100_000)
    for order in (ends, ends[::-1]):
        kept, lowest = spanning(order.copy(), order + 1, 100_001)
        assert kept.all()
        assert not lowest.any()


def test_ways_begin_on_the_link_towards_the_root() -> None:
    a, b = np.array([0, 1, 1, 4, 6]), np.array([1, 2, 3, 5, 7])
    assert towards(a, b, np.array([2, 5]), 8).tolist() == [0, 1, -1, 2, 3, -1, -1, -1]


def _said(wood: Forest, order: list[int], foreign: set[int] = frozenset()) -> list[tuple]:
    """By unit: survivor, of, similarity, size of the family; `order` and `foreign` in units."""
    at = {unit: n for n, unit in enumerate(wood.units.tolist())}
    mask = np.isin(wood.units, np.array(sorted(foreign), np.uint64))
    found = verdicts(wood, np.array([at[unit] for unit in order], np.int64), mask)
    names = [wood.units[n].item() if n >= 0 else None for n in found.survivor]
    of = [wood.units[n].item() if n >= 0 else None for n in found.of]
    like = [None if np.isnan(s) else s for s in found.similarity.tolist()]
    return list(zip(names, of, like, found.family_size.tolist(), strict=True))


CHAINS = edges((10, 20, 0.75), (20, 30, 0.5), (40, 50, 1.0))


def test_the_first_in_order_stays_and_the_others_lead_to_it() -> None:
    wood = forest(CHAINS)
    assert _said(wood, [10, 20, 30, 40, 50]) == [
        (None, None, None, 3),
        (10, 10, 0.75, 3),
        (10, 20, 0.5, 3),
        (None, None, None, 2),
        (40, 40, 1, 2),
    ]
    assert _said(wood, [50, 30, 20, 40, 10]) == [
        (30, 20, 0.75, 3),
        (30, 30, 0.5, 3),
        (None, None, None, 3),
        (50, 50, 1, 2),
        (None, None, None, 2),
    ]
    assert _said(wood, [20, 10, 30, 40, 50])[:3] == [
        (20, 20, 0.75, 3),
        (None, None, None, 3),
        (20, 20, 0.5, 3),
    ]


def test_foreign_units_all_stay_and_do_not_count_as_family() -> None:
    wood = forest(edges((10, 20, 0.75), (20, 90, 0.5), (10, 91, 0.5), (40, 50, 1.0)))
    assert _said(wood, [91, 90, 10, 20, 40, 50], {90, 91}) == [
        (91, 91, 0.5, 2),
        (91, 10, 0.75, 2),
        (None, None, None, 2),
        (40, 40, 1, 2),
        (None, None, None, 2),
        (None, None, None, 2),
    ]


def test_nothing_alike_is_no_family() -> None:
    wood = forest(Edges.joined([]))
    assert [len(column) for column in wood] == [0] * 5
    assert _said(wood, []) == []


def test_edges_are_told_once_each_in_order() -> None:
    told = edges((5, 3, 0.75), (3, 5, 0.75), (3, 4, 0.25), (1, 9, 1.0), (9, 1, 1.0))
    once = told.distinct()
    assert [column.tolist() for column in once] == [[1, 3, 3], [9, 4, 5], [1.0, 0.25, 0.75]]
    assert [column.dtype for column in once] == [np.uint64, np.uint64, np.float32]
    assert [len(column) for column in Edges.joined([]).distinct()] == [0, 0, 0]
