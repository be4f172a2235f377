"""Phases 4 and 5: families of connected units, their most similar links, and survivors."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from filters.duplicates.files.edges import Edges
from filters.duplicates.phases.forest import Forest, spanning_forest
from filters.duplicates.phases.survivors import choose_survivors
from manifests.kernels.union_find import edges_towards_roots, spanning_edges

NODES = 60


def edges(*rows: tuple[int, int, float]) -> Edges:
    a, b, similarity = (np.array(column) for column in zip(*rows, strict=True))
    return Edges.between(a.astype(np.uint64), b.astype(np.uint64), similarity)


def random_edges(seed: int, count: int = 70) -> list[tuple[int, int, float]]:
    random = np.random.default_rng(seed)
    pairs = list(itertools.combinations(range(NODES), 2))
    chosen = random.choice(len(pairs), count, replace=False)
    similarity = random.integers(1, 9, count) / 8  # many are equal
    return [(*pairs[at], float(s)) for at, s in zip(chosen, similarity, strict=True)]


def components(rows: list[tuple[int, int, float]]) -> dict[int, frozenset[int]]:
    known = {node: {node} for edge in rows for node in edge[:2]}
    for a, b, _ in rows:
        if known[a] is not known[b]:
            known[a] |= known[b]
            for node in known[b]:
                known[node] = known[a]
    return {node: frozenset(members) for node, members in known.items()}


def strongest_paths(rows: list[tuple[int, int, float]]) -> dict[tuple[int, int], float]:
    """The weakest link of the best path between any two nodes (Floyd and Warshall)."""
    best = {(n, m): 0.0 for n in range(NODES) for m in range(NODES)}
    for a, b, similarity in rows:
        best[a, b] = best[b, a] = similarity
    for via, start, end in itertools.product(range(NODES), repeat=3):
        best[start, end] = max(best[start, end], min(best[start, via], best[via, end]))
    return best


@pytest.mark.parametrize("seed", range(4))
def test_connected_units_are_one_component_named_by_its_lowest_unit(seed: int) -> None:
    rows = random_edges(seed)
    forest, expected = spanning_forest(edges(*rows)), components(rows)
    assert forest.units.tolist() == sorted(expected)
    lowest = forest.units[forest.component].tolist()
    assert lowest == [min(expected[unit]) for unit in forest.units.tolist()]
    assert len(forest.a) == len(forest.units) - len(set(expected.values()))


@pytest.mark.parametrize("seed", range(4))
def test_the_most_similar_links_are_kept(seed: int) -> None:
    rows = random_edges(seed)
    kept = [
        tuple(edge) for edge in zip(*map(list, spanning_forest(edges(*rows)).edges), strict=True)
    ]
    before, after = strongest_paths(rows), strongest_paths(kept)
    assert after == before


def test_of_equally_similar_links_those_of_lower_units_are_kept_in_any_order() -> None:
    rows = [(1, 2, 0.5), (2, 3, 0.5), (1, 3, 0.5), (3, 4, 0.5), (2, 4, 0.5), (1, 4, 0.5)]
    for order in itertools.permutations(rows):
        forest = spanning_forest(edges(*order))
        links = zip(forest.edges.a.tolist(), forest.edges.b.tolist(), strict=True)
        assert sorted(links) == [(1, 2), (1, 3), (1, 4)]


def test_spanning_edges_are_chosen_in_the_order_given() -> None:
    a, b = np.array([0, 1, 0, 3, 5]), np.array([1, 2, 2, 4, 5])
    kept, lowest = spanning_edges(a, b, 7)
    assert kept.tolist() == [True, True, False, True, False]
    assert lowest.tolist() == [0, 0, 0, 3, 3, 5, 6]


def test_a_long_chain_is_one_component() -> None:
    ends = np.arange(100_000)
    for order in (ends, ends[::-1]):
        kept, lowest = spanning_edges(order.copy(), order + 1, 100_001)
        assert kept.all()
        assert not lowest.any()


def test_every_node_knows_its_edge_towards_the_root() -> None:
    a, b = np.array([0, 1, 1, 4, 6]), np.array([1, 2, 3, 5, 7])
    assert edges_towards_roots(a, b, np.array([2, 5]), 8).tolist() == [0, 1, -1, 2, 3, -1, -1, -1]


def _survivors(forest: Forest, order: list[int], earlier: set[int] = frozenset()) -> list[tuple]:
    """By unit: survivor, duplicate_of, similarity, family_size; `order`, `earlier` are units."""
    at = {unit: n for n, unit in enumerate(forest.units.tolist())}
    mask = np.isin(forest.units, np.array(sorted(earlier), np.uint64))
    found = choose_survivors(forest, np.array([at[unit] for unit in order], np.int64), mask)
    names = [forest.units[n].item() if n >= 0 else None for n in found.survivor]
    of = [forest.units[n].item() if n >= 0 else None for n in found.duplicate_of]
    like = [None if np.isnan(s) else s for s in found.similarity.tolist()]
    return list(zip(names, of, like, found.family_size.tolist(), strict=True))


CHAINS = edges((10, 20, 0.75), (20, 30, 0.5), (40, 50, 1.0))


def test_the_first_in_order_stays_and_the_others_name_the_path_to_it() -> None:
    forest = spanning_forest(CHAINS)
    assert _survivors(forest, [10, 20, 30, 40, 50]) == [
        (None, None, None, 3),
        (10, 10, 0.75, 3),
        (10, 20, 0.5, 3),
        (None, None, None, 2),
        (40, 40, 1, 2),
    ]
    assert _survivors(forest, [50, 30, 20, 40, 10]) == [
        (30, 20, 0.75, 3),
        (30, 30, 0.5, 3),
        (None, None, None, 3),
        (50, 50, 1, 2),
        (None, None, None, 2),
    ]
    assert _survivors(forest, [20, 10, 30, 40, 50])[:3] == [
        (20, 20, 0.75, 3),
        (None, None, None, 3),
        (20, 20, 0.5, 3),
    ]


def test_units_of_an_earlier_run_all_stay_and_do_not_count_in_the_family_size() -> None:
    forest = spanning_forest(edges((10, 20, 0.75), (20, 90, 0.5), (10, 91, 0.5), (40, 50, 1.0)))
    assert _survivors(forest, [91, 90, 10, 20, 40, 50], {90, 91}) == [
        (91, 91, 0.5, 2),
        (91, 10, 0.75, 2),
        (None, None, None, 2),
        (40, 40, 1, 2),
        (None, None, None, 2),
        (None, None, None, 2),
    ]


def test_without_links_there_are_no_families() -> None:
    forest = spanning_forest(Edges.joined([]))
    assert [len(column) for column in forest] == [0] * 5
    assert _survivors(forest, []) == []


def test_distinct_edges_are_sorted() -> None:
    several = edges((5, 3, 0.75), (3, 5, 0.75), (3, 4, 0.25), (1, 9, 1.0), (9, 1, 1.0))
    once = several.distinct()
    assert [column.tolist() for column in once] == [[1, 3, 3], [9, 4, 5], [1.0, 0.25, 0.75]]
    assert [column.dtype for column in once] == [np.uint64, np.uint64, np.float32]
    assert [len(column) for column in Edges.joined([]).distinct()] == [0, 0, 0]
