"""Kernels of phases 1 and 2: entries by ranges of their keys, and pairs that share a key."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from manifests.kernels.grouping import by_mark, partition, runs, similar_pairs
from manifests.kernels.popcount import popcount

U64 = np.uint64


def test_entries_are_sorted_by_range_with_the_mark_and_payload_of_their_owner() -> None:
    random = np.random.default_rng(1)
    keys = random.integers(0, 2**64, 500, dtype=U64)
    owners = random.integers(0, 90, 500)
    marks = random.integers(0, 2**64, 90, dtype=U64)
    payload = random.integers(0, 2**64, (90, 3), dtype=U64)
    for bits in (0, 1, 5):
        cut = partition(keys, owners, marks, payload, bits)
        number = np.array([int(key) >> (64 - bits) for key in keys])
        order = np.argsort(number, kind="stable")
        assert cut.keys.tolist() == keys[order].tolist()
        assert cut.units.tolist() == owners[order].tolist()
        assert cut.marks.tolist() == marks[owners[order]].tolist()
        assert cut.payload.tolist() == payload[owners[order]].tolist()
        counts = np.bincount(number, minlength=1 << bits)
        assert cut.starts.tolist() == [0, *np.cumsum(counts).tolist()]


def test_without_entries_every_range_is_empty() -> None:
    empty = np.empty(0, U64)
    cut = partition(empty, np.empty(0, np.int64), empty, np.empty((0, 2), U64), 2)
    assert cut.starts.tolist() == [0] * 5
    assert len(cut.keys) == 0


def test_the_first_and_the_last_key_lie_in_the_first_and_the_last_range() -> None:
    keys = np.array([0, 2**64 - 1], U64)
    cut = partition(keys, np.array([0, 1]), keys, np.empty((2, 0), U64), 3)
    assert cut.starts.tolist() == [0, 1, 1, 1, 1, 1, 1, 1, 2]


def test_runs_of_equal_keys_are_given_by_their_starts() -> None:
    assert runs(np.array([], U64)).tolist() == [0]
    assert runs(np.array([4], U64)).tolist() == [0, 1]
    assert runs(np.array([4, 4, 7, 9, 9, 9], U64)).tolist() == [0, 2, 3, 6]


def test_entries_of_a_run_are_sorted_by_mark_and_stable() -> None:
    random = np.random.default_rng(3)
    lengths = [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 400, 1]
    keys = np.repeat(np.arange(len(lengths)).astype(U64), lengths)
    marks = random.integers(0, 20, len(keys)).astype(U64) << U64(60)
    order = by_mark(keys, marks)
    expected = sorted(range(len(keys)), key=lambda n: (keys[n], marks[n]))
    assert order.tolist() == expected
    assert by_mark(np.empty(0, U64), np.empty(0, U64)).tolist() == []


def test_the_bits_of_a_word_are_counted() -> None:
    random = np.random.default_rng(2)
    words = [0, 1, 2**64 - 1, *random.integers(0, 2**64, 200, dtype=U64).tolist()]
    assert [popcount(U64(word)) for word in words] == [int(word).bit_count() for word in words]


def _pairs(
    starts: list[int], marks: list[int], bits: np.ndarray, max_bits: int, window: int, nearest: int
) -> list[tuple[int, int]]:
    """As `similar_pairs`, in plain Python."""
    found = []
    for start, end in itertools.pairwise(starts):
        representatives: list[int] = []
        for i in range(start, end):
            if i > start and marks[i] == marks[i - 1]:
                continue
            near = []
            for j in reversed(representatives[-window:]):
                distance = sum(
                    int(a ^ b).bit_count() for a, b in zip(bits[i], bits[j], strict=True)
                )
                if distance <= max_bits:
                    near.append((distance, j))
            near.sort(key=lambda one: one[0])  # of equal distances the closest position
            found += [(j, i) for _, j in near[:nearest]]
            representatives.append(i)
    return found


@pytest.mark.parametrize(("max_bits", "window", "nearest"), [
    (128, 64, 8), (20, 64, 8), (20, 5, 8), (30, 64, 2), (128, 3, 1), (3, 64, 8), (16, 7, 3),
])  # fmt: skip
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_pairs_are_those_of_the_definition(
    seed: int, max_bits: int, window: int, nearest: int
) -> None:
    random = np.random.default_rng(seed)
    lengths = random.integers(1, 90, 12)
    starts = [0, *np.cumsum(lengths).tolist()]
    bits = np.zeros((starts[-1], 2), U64)
    for start, end in itertools.pairwise(starts):
        bits[start:end] = random.integers(0, 2**64, 2, dtype=U64)
    for _ in range(6):
        flip = U64(1) << random.integers(0, 64, bits.shape).astype(U64)
        bits ^= np.where(random.random(bits.shape) < 0.3, flip, U64(0))
    marks = np.concatenate([np.sort(random.integers(0, 50, n)) for n in lengths]).astype(U64)
    found = similar_pairs(np.array(starts), marks, bits, max_bits, window, nearest)
    assert found.dtype == np.int64
    expected = _pairs(starts, marks.tolist(), bits, max_bits, window, nearest)
    assert expected
    assert [tuple(pair) for pair in found.tolist()] == expected


def test_the_number_of_pairs_is_linear_in_the_entries_that_share_a_key() -> None:
    entries, nearest = 20_000, 3
    marks = np.arange(entries, dtype=U64)
    equal_bits = np.zeros((entries, 2), U64)
    found = similar_pairs(np.array([0, entries]), marks, equal_bits, 0, 16, nearest)
    assert len(found) == 1 + 2 + nearest * (entries - 3)


def test_only_the_first_entry_of_equal_marks_is_paired() -> None:
    marks = np.array([5, 5, 5, 6, 6], U64)
    found = similar_pairs(np.array([0, 5]), marks, np.zeros((5, 2), U64), 0, 64, 8)
    assert found.tolist() == [[0, 3]]


def test_equal_marks_in_two_runs_are_both_paired() -> None:
    marks = np.array([4, 5, 5, 6], U64)
    found = similar_pairs(np.array([0, 2, 4]), marks, np.zeros((4, 2), U64), 0, 64, 8)
    assert found.tolist() == [[0, 1], [2, 3]]


def test_no_entries_make_no_pairs() -> None:
    empty = np.empty(0, U64)
    assert similar_pairs(np.zeros(1, np.int64), empty, np.empty((0, 2), U64), 9, 4, 2).shape == (
        0,
        2,
    )
