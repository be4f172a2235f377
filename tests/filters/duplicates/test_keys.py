"""Phases 1 and 2: files of identities and keys, links of equal units, pairs of near units."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pytest

from filters.duplicates.corpus.units import Source, unit_ids
from filters.duplicates.files import edges
from filters.duplicates.files.ranges import EQUAL, NEAR, read_range
from filters.duplicates.kinds.contract import (
    CandidatePairs,
    DescribedUnits,
    Entries,
    identity_only,
    with_identity,
)
from filters.duplicates.kinds.identity import (
    combine_hashes,
    from_binary,
    list_identities,
    to_binary,
)
from filters.duplicates.phases.candidates import (
    FindCandidates,
    IdentityRange,
    KeyRange,
    LinkEqual,
    repeated_keys,
)
from filters.duplicates.phases.keys import LINKS, Sizes, WriteKeys, frequent_keys
from manifests.storage import parts

U64 = np.uint64
ONE_RANGE = Sizes(0, 0, 1 << 20, 2)


def described(
    identity: list[tuple[int, int]], keys: list[tuple[int, int]] = (), absent: tuple[int, ...] = ()
) -> DescribedUnits:
    """Units by identity, and their keys as (owner, key); the payload is the unit's number."""
    rows = len(identity)
    present = ~np.isin(np.arange(rows), absent)
    owners, values = ([pair[at] for pair in keys] for at in (0, 1))
    return DescribedUnits(
        present,
        np.array(identity, U64).reshape(-1, 2),
        np.array(values, U64),
        np.array(owners, np.int64),
        np.arange(rows, dtype=U64)[:, None],
    )


@dataclass(frozen=True)
class AllNear:
    """A kind in which all units that share a key are near."""

    words = 1

    def candidates(self, entries: Entries) -> CandidatePairs:
        pairs = [
            (i, j)
            for i, j in itertools.combinations(range(len(entries.keys)), 2)
            if entries.keys[i] == entries.keys[j]
        ]
        return CandidatePairs(
            np.array(pairs, np.int64).reshape(-1, 2), np.full(len(pairs), 0.5, np.float32)
        )


class Keys(NamedTuple):
    """What phase 1 wrote: links of equal units of one source, and frequent keys by source."""

    folder: str
    sources: list[Source]
    links: set[tuple[int, int]]
    frequent: list[dict[str, int]]


def write_keys(folder: Path, *units: DescribedUnits, sizes: Sizes = ONE_RANGE) -> Keys:
    sources = [Source(number, f"part-{number}") for number in range(len(units))]
    made = [WriteKeys(lambda s: units[s.number], sizes)(source, str(folder)) for source in sources]
    found = [e for one in made for e in one.files if e.name.endswith(LINKS)]
    links = {pair for entry in found for pair in _pairs(folder / entry.name)}
    return Keys(str(folder), sources, links, [one.detail["frequent"] for one in made])


def _pairs(path: Path) -> list[tuple[int, int]]:
    found = edges.from_table(parts.read_columns(str(path)))
    return list(zip(found.a.tolist(), found.b.tolist(), strict=True))


def pairs_of(work: Any, task: Any, folder: Path) -> list[tuple[int, int]]:
    folder.mkdir(exist_ok=True)
    return [pair for entry in work(task, str(folder)).files for pair in _pairs(folder / entry.name)]


def unit(part: int, row: int) -> int:
    return int(unit_ids(part, np.array([row]))[0])


def test_the_first_of_equal_units_in_a_part_represents_the_others(tmp_path: Path) -> None:
    units = described([(7, 1), (5, 5), (7, 1), (7, 1), (5, 5), (7, 2)], absent=(1,))
    made = write_keys(tmp_path, units)
    assert made.links == {(0, 2), (0, 3)}
    table = read_range(str(tmp_path), made.sources, EQUAL, 0)
    assert table is not None
    assert table.to_pylist() == [
        {"high": 5, "low": 5, "unit": 4}, {"high": 7, "low": 1, "unit": 0},
        {"high": 7, "low": 2, "unit": 5},
    ]  # fmt: skip


def test_units_represented_by_another_write_no_keys(tmp_path: Path) -> None:
    keys = [(0, 9), (0, 3), (1, 9), (2, 9), (3, 4)]
    units = described([(1, 1), (1, 1), (2, 2), (3, 3)], keys, absent=(3,))
    made = write_keys(tmp_path, units, described([(1, 1)], [(0, 9)]))
    table = read_range(str(tmp_path), made.sources, NEAR, 0)
    assert table is not None
    entries = [(row["key"], row["mark"], row["unit"], row["payload"]) for row in table.to_pylist()]
    assert sorted(entries) == [
        (3, 1, 0, [0]), (9, 1, 0, [0]), (9, 1, unit(1, 0), [0]), (9, 2, 2, [2]),
    ]  # fmt: skip


def test_equal_units_of_several_parts_are_linked_to_the_first_of_them(tmp_path: Path) -> None:
    units = [
        described([(7, 1), (7, 2), (6, 1)]),
        described([(7, 2), (8, 1)]),
        described([(7, 2)] * 2),
    ]
    made = write_keys(tmp_path, *units)
    assert made.links == {(unit(2, 0), unit(2, 1))}
    found = pairs_of(LinkEqual(made.folder, made.sources), IdentityRange(0), tmp_path / "equal")
    assert found == [(1, unit(1, 0)), (1, unit(2, 0))]


def test_equal_units_differ_from_others_with_the_same_first_word(tmp_path: Path) -> None:
    made = write_keys(tmp_path, described([(7, 1), (7, 2), (7, 1), (7, 2), (7, 1)]))
    found = pairs_of(LinkEqual(made.folder, made.sources), IdentityRange(0), tmp_path / "equal")
    assert made.links | set(found) == {(0, 2), (0, 4), (1, 3)}


@pytest.mark.parametrize("bits", [2, 5, 12, 64])
@pytest.mark.parametrize("rows", [0, 1, 2, 1000])
def test_repeated_keys_are_found_sorted_by_key(rows: int, bits: int) -> None:
    """Others may be among them, but none is left out, and positions of one key are adjacent."""
    drawn = np.random.default_rng(rows).integers(0, 2**64, rows, dtype=U64)
    keys = drawn >> U64(64 - bits) << U64(64 - bits) | drawn & U64(3)
    order = repeated_keys(keys)
    found, counts = np.unique(keys, return_counts=True)
    repeated = set(found[counts > 1].tolist())
    expected = [n for n, key in enumerate(keys.tolist()) if key in repeated]
    assert set(expected) <= set(order.tolist())
    assert bits < 64 or len(order) == len(expected)
    assert [(keys[n], n) for n in order] == sorted((keys[n], n) for n in order)


def test_every_range_has_its_own_identities_and_keys(tmp_path: Path) -> None:
    identity = [(n << 61, n) for n in range(8)]
    sizes = ONE_RANGE._replace(equal_bits=3, near_bits=2)
    keys = [(n, n << 61) for n in range(8)]
    made = write_keys(tmp_path, *[described(identity, keys)] * 2, sizes=sizes)
    link_equal = LinkEqual(made.folder, made.sources)
    for number in range(8):
        assert pairs_of(link_equal, IdentityRange(number), tmp_path / "equal") == [
            (number, unit(1, number))
        ]
    for number in range(4):
        table = read_range(made.folder, made.sources, NEAR, number)
        assert table is not None
        assert sorted(set(table["key"].to_pylist())) == [2 * number << 61, 2 * number + 1 << 61]


@pytest.mark.parametrize("first_earlier", [1, 2, 3])
def test_units_of_an_earlier_run_are_not_compared_with_each_other(
    tmp_path: Path, first_earlier: int
) -> None:
    made = write_keys(tmp_path, *(described([(n, n)], [(0, 9)]) for n in range(3)))
    work = FindCandidates(AllNear(), made.folder, made.sources, frozenset(), unit(first_earlier, 0))
    found = pairs_of(work, KeyRange(0), tmp_path / "near")
    all_ = [(a, b) for a, b in itertools.combinations(range(3), 2) if a < first_earlier]
    assert found == [(unit(a, 0), unit(b, 0)) for a, b in all_]


def test_pairs_that_share_several_keys_are_written_once(tmp_path: Path) -> None:
    keys = [(0, 9), (1, 9), (0, 5), (1, 5), (0, 1), (1, 2)]
    made = write_keys(tmp_path, described([(1, 1), (2, 2)], keys))
    work = FindCandidates(AllNear(), made.folder, made.sources, frozenset(), unit(1, 0))
    assert pairs_of(work, KeyRange(0), tmp_path / "near") == [(0, 1)]


def test_a_hot_key_is_left_out_of_its_range_and_compared_in_tasks_of_its_own(
    tmp_path: Path,
) -> None:
    identity = [(n * 0x9E3779B97F4A7C15 % 2**64, n) for n in range(42)]
    keys = [(n, 9) for n in range(40)] + [(n, 5) for n in (40, 41)]
    made = write_keys(tmp_path, described(identity, keys))
    work = FindCandidates(AllNear(), made.folder, made.sources, frozenset({9}), unit(1, 0))
    assert pairs_of(work, KeyRange(0), tmp_path / "near") == [(40, 41)]
    all_pairs = pairs_of(work, KeyRange(0, 9, 0, 0, 1), tmp_path / "near")
    assert sorted(all_pairs) == list(itertools.combinations(range(40), 2))
    within = [pairs_of(work, KeyRange(0, 9, i, i, 3), tmp_path / "near") for i in range(3)]
    units = [{u for pair in some for u in pair} for some in within]
    assert set().union(*units) == set(range(40))
    assert sum(map(len, units)) == 40
    both = [pairs_of(work, KeyRange(0, 9, i, j, 3), tmp_path / "near")
            for i, j in ((0, 1), (0, 2), (1, 2))]  # fmt: skip
    assert set(itertools.chain(*both)) == set(all_pairs)


def test_frequent_keys_of_a_part_are_reported_with_their_counts(tmp_path: Path) -> None:
    rows = 200
    identity = [(n, n) for n in range(rows)]
    keys = [(n, 1 << 50) for n in range(64)] + [(n, 2**63 + n % 3) for n in range(rows)]
    keys += [(n, 7) for n in range(63)]
    sizes = ONE_RANGE._replace(max_entries=10)
    (frequent,) = write_keys(tmp_path, described(identity, keys), sizes=sizes).frequent
    assert frequent == {str(1 << 50): 64, str(2**63): 67, str(2**63 + 1): 67, str(2**63 + 2): 66}


def test_identities_of_lists_depend_on_their_values_and_order() -> None:
    lists = [[], [1], [1, 1], [2, 1], [1, 2], [0], [0, 0], [1], [1, 2], []]
    offsets = np.concatenate([[0], np.cumsum([len(one) for one in lists])])
    flat = np.array([[v, v + 9] for one in lists for v in one], U64)
    found = list_identities(offsets, flat).to_pylist()
    assert [value is None for value in found] == [not one for one in lists]
    for (one, a), (other, b) in itertools.combinations(zip(lists, found, strict=True), 2):
        assert (a == b) == (one == other)


def test_a_second_identity_changes_identities_and_keys() -> None:
    units = described([(1, 2), (1, 2), (3, 4)], [(0, 9), (1, 9), (2, 9)], absent=(2,))
    other = np.array([[5, 6], [7, 8], [5, 6]], U64)
    both = with_identity(units, np.array([True, False, True]), other, other)
    assert both.present.tolist() == [True, False, False]
    assert len({*both.keys.tolist()}) == 2
    assert both.keys[0] == both.keys[2]
    assert len({tuple(one) for one in both.identity.tolist()}) == 3
    assert both.owners.tolist() == [0, 1, 2]
    assert both.payload.tolist() == units.payload.tolist()


def test_units_that_may_be_equal_share_keys_and_are_compared() -> None:
    units = described([(1, 2), (1, 2)], [(0, 9), (1, 9)])
    looks, hashes = np.array([[5, 6], [5, 6]], U64), np.array([[7, 8], [9, 8]], U64)
    both = with_identity(units, np.array([True, True]), looks, hashes)
    assert both.keys[0] == both.keys[1]
    assert both.identity[0].tolist() != both.identity[1].tolist()


def test_units_compared_by_identity_only_have_no_keys() -> None:
    units = identity_only(np.array([True, False]), np.array([[1, 2], [3, 4]], U64))
    assert (len(units.keys), len(units.owners), units.payload.shape) == (0, 0, (2, 0))


def test_identities_are_converted_to_bytes_and_nulls_and_back() -> None:
    identity = np.arange(40, dtype=U64).reshape(20, 2)
    present = np.arange(20) % 3 > 0
    column = to_binary(present, identity)
    assert column.type == pa.binary(16)
    assert column.is_valid().to_pylist() == present.tolist()
    assert column[1].as_py() == identity[1].tobytes()
    for some in (slice(0, 20), slice(3, 9), slice(7, 7)):
        valid, words = from_binary(column[some])
        assert valid.tolist() == present[some].tolist()
        assert words.tolist() == identity[some].tolist()


def test_two_words_are_hashed_as_splitmix64_does() -> None:
    def one(a: int, b: int) -> int:
        top = 2**64
        x = a ^ ((b * 0x9E3779B97F4A7C15 + (b >> 29)) % top)
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 % top
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB % top
        return x ^ (x >> 31)

    words = np.random.default_rng(1).integers(0, 2**64, (2, 100), dtype=U64)
    expected = [one(int(a), int(b)) for a, b in zip(*words, strict=True)]
    assert combine_hashes(*words).tolist() == expected


def test_frequent_keys_are_those_with_a_minimal_count() -> None:
    assert frequent_keys(np.array([3, 3, 5], U64), 2) == {3: 2}
    assert frequent_keys(np.array([3, 3, 5], U64), 4) == {}
