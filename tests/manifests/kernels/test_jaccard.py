"""Similarities of sets are those of Python's sets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from manifests.kernels.hash_set import empty_slots
from manifests.kernels.jaccard import _measure, agreement, jaccard

hashes = st.one_of(
    st.integers(0, 12),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0, 1, 2**31, 2**32 - 1]),
)
sets = st.lists(st.lists(hashes, unique=True, max_size=40), min_size=1, max_size=8)


def check(some: list[list[int]], pairs: list[tuple[int, int]]) -> None:
    offsets = np.cumsum([0, *map(len, some)])
    flat = np.array([hashed for own in some for hashed in own], np.uint32)
    as_sets = [(set(some[i]), set(some[j])) for i, j in pairs]
    expected = [len(a & b) / len(a | b) if a | b else 1 for a, b in as_sets]
    found = jaccard(np.array(pairs, np.int64).reshape(-1, 2), offsets, flat)
    assert found.dtype == np.float32
    assert found.tolist() == np.array(expected, np.float32).tolist()


@given(sets, st.data())
@example([[]], None)
def test_jaccard_is_that_of_python_sets(some: list[list[int]], data: st.DataObject) -> None:
    number = st.integers(0, len(some) - 1)
    drawn = data.draw(st.lists(st.tuples(number, number), max_size=30)) if data else [(0, 0)]
    check(some, drawn)
    check(some, sorted(drawn))
    check(some, [(i, j) for i in range(len(some)) for j in range(len(some))])


def test_collisions_in_the_last_slot_continue_at_the_first() -> None:
    every = np.arange(2**20, dtype=np.uint64)
    last = every[every * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(52) == 2**12 - 1]
    some = [last[:150].tolist(), last[50:200].tolist(), last[150:].tolist()]
    check(some, [(0, 1), (0, 2), (1, 0), (1, 2)])
    size = len(empty_slots(150))
    slots = np.zeros(size + 99, np.uint64)
    pairs, offsets, measured = np.array([[0, 1]]), np.array([0, 150, 300]), np.empty(1, np.float32)
    _measure(pairs, offsets, np.array(some[0] + some[1], np.uint32), slots[:size], measured)
    assert measured.tolist() == [0.5]
    assert not slots[size:].any()


def test_a_large_set_after_a_small_one_is_compared_completely() -> None:
    some = [list(range(k)) for k in (1, 5000, 0, 70_000, 69_999)]
    check(some, [(i, j) for i in range(5) for j in range(5)])


def test_without_pairs_there_are_no_similarities() -> None:
    check([[1]], [])


@pytest.mark.parametrize("count", [0, 1, 4096, 4097, 10000])
def test_agreement_is_the_share_of_equal_values(count: int) -> None:
    draw = np.random.default_rng(count)
    signatures = draw.integers(0, 3, (50, 112), np.uint32)
    pairs = draw.integers(0, 50, (count, 2))
    expected = [(signatures[i] == signatures[j]).mean() for i, j in pairs]
    shares = agreement(pairs, signatures)
    assert shares.dtype == np.float32
    assert shares.tolist() == np.array(expected, np.float32).tolist()
