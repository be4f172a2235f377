"""The shard of a row depends on a hash of (seed, id), not on the parts of the corpus."""

from __future__ import annotations

import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.emit import order
from curate.emit.settings import Shards
from manifests import record
from manifests.errors import ManifestError
from manifests.storage import parts
from tests.emit.records import records, row, text

ROWS = 60
TABLE = records(*(row(f"{n}", [text(f"text {n}")]) for n in range(ROWS)))


def reference_key(record_id: str, seed: int) -> int:
    """splitmix64 of the first 64 bits of the id, mixed with splitmix64 of the seed."""

    def splitmix64(x: int) -> int:
        x = (x + 0x9E3779B97F4A7C15) % 2**64
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB % 2**64
        return x ^ (x >> 31)

    return splitmix64(int(record_id[:16], 16) ^ splitmix64(seed % 2**64))


def sort_parts(folder: str, tables: list[pa.Table], count: int, shuffle: bool = True) -> list[str]:
    uris, first = [], 0
    for number, table in enumerate(tables):
        cut = order.cut(table, first, ROWS, count)
        pieces = order.bucket(table, 17, count) if shuffle else cut
        uris.append(f"{folder}/part-{number}.arrow")
        parts.write(uris[-1], pieces[0].schema, pieces)
        first += table.num_rows
    return uris


def shards(tables: list[pa.Table], count: int, shuffle: bool = True) -> list[pa.Table]:
    with tempfile.TemporaryDirectory() as folder:
        uris = sort_parts(folder, tables, count, shuffle)
        gathered = [order.gather(uris, number) for number in range(count)]
        return [pa.concat_tables(one.tables).combine_chunks() for one in gathered]


def split(table: pa.Table, cuts: list[int]) -> list[pa.Table]:
    bounds = [0, *sorted(cuts), table.num_rows]
    return [table.slice(a, b - a) for a, b in pairwise(bounds)]


@given(st.lists(st.text("0123456789abcdef", min_size=32, max_size=32)), st.integers())
def test_a_random_key_is_splitmix64_of_id_and_seed(ids: list[str], seed: int) -> None:
    keys = record.random_keys(pa.array(ids, pa.string()), seed)
    assert keys.tolist() == [reference_key(i, seed) for i in ids]
    assert keys.dtype == np.uint64


def test_a_random_key_is_the_same_in_a_slice_in_chunks_and_for_longer_ids() -> None:
    ids = record.record_ids("web", map(str, range(100)))
    keys = record.random_keys(ids, 3).tolist()
    assert record.random_keys(ids.slice(7, 20), 3).tolist() == keys[7:27]
    assert record.random_keys(pa.chunked_array([ids[:5], ids[5:]]), 3).tolist() == keys
    longer = pa.array([f"{i}/0" for i in ids.to_pylist()])
    assert record.random_keys(longer, 3).tolist() == keys


@pytest.mark.parametrize("bad", [None, "", "0123456789abcde"])
def test_an_id_too_short_to_be_a_hash_is_refused(bad: str | None) -> None:
    with pytest.raises(ManifestError, match="id"):
        record.random_keys(pa.array(["0" * 32, bad]), 1)


@settings(max_examples=40)
@given(
    st.lists(st.integers(0, ROWS), max_size=5),
    st.permutations(range(ROWS)),
    st.integers(1, 9),
)
def test_any_split_of_the_rows_into_parts_gives_the_same_shards(
    cuts: list[int], shuffled: list[int], count: int
) -> None:
    other = TABLE.take(pa.array(shuffled))
    assert shards(split(other, cuts), count) == shards([TABLE], count)


def test_a_shard_is_the_range_of_hashes_of_its_number_in_order() -> None:
    by_key = sorted(TABLE["id"].to_pylist(), key=lambda i: reference_key(i, 17))
    for count in (1, 2, 7):
        found = [shard["id"].to_pylist() for shard in shards([TABLE], count)]
        due = [[i for i in by_key if reference_key(i, 17) * count >> 64 == n] for n in range(count)]
        assert found == due


def test_explain_finds_the_shard_of_a_record() -> None:
    for number, shard in enumerate(shards([TABLE], 7)):
        assert {order.shard_of(i, 17, 7) for i in shard["id"].to_pylist()} <= {number}


@pytest.mark.parametrize("count", [1, 2, 3, 7, 1000])
def test_explain_names_the_shard_of_a_hash_at_the_bound_of_two_shards(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bounds = [(i << 64) // count + d for i in range(count + 1) for d in (-1, 0, 1)]
    keys = np.array(sorted(k for k in bounds if 0 <= k < 2**64), np.uint64)
    table = pa.table({"id": [f"{k:016x}" for k in keys.tolist()]})
    monkeypatch.setattr(order, "random_keys", lambda ids, seed: keys[: len(ids)])
    found = [piece[order.SORT_KEY].to_pylist() for piece in order.bucket(table, 17, count)]
    assert found == [[k for k in keys.tolist() if k * count >> 64 == n] for n in range(count)]


def test_a_sorted_part_has_a_batch_for_every_shard_empty_or_not(tmp_path: Path) -> None:
    uris = sort_parts(str(tmp_path), [TABLE.slice(0, 3), TABLE.slice(0, 0)], 50)
    assert [parts.open_part(uri).num_record_batches for uri in uris] == [50, 50]


def test_rows_of_equal_keys_are_in_order_of_their_ids() -> None:
    ids = ["0" * 16 + f"{n:016x}" for n in (5, 3, 9, 1)]
    table = TABLE.slice(0, 4).set_column(0, "id", pa.array(ids))
    (shard,) = shards([table.slice(0, 2), table.slice(2, 2)], 1)
    assert shard["id"].to_pylist() == sorted(ids)


@settings(max_examples=20)
@given(st.lists(st.integers(0, ROWS), max_size=5), st.integers(1, 9))
def test_without_shuffling_the_order_of_the_corpus_is_kept(cuts: list[int], count: int) -> None:
    found = shards(split(TABLE, cuts), count, shuffle=False)
    assert pa.concat_tables(found) == TABLE
    due = [sum(row * count // ROWS == number for row in range(ROWS)) for number in range(count)]
    assert [table.num_rows for table in found] == due


@pytest.mark.parametrize("shuffle", [True, False])
def test_two_records_with_the_same_id_are_an_error_that_names_both_origins(shuffle: bool) -> None:
    other = TABLE.slice(4, 1).set_column(3, "origin", pa.array(["copy.tar#4"]))
    with pytest.raises(ManifestError) as raised:
        shards([TABLE.slice(0, 9), other], 1, shuffle)
    message = str(raised.value)
    assert TABLE["id"][4].as_py() in message
    assert "in#4" in message
    assert "copy.tar#4" in message


@pytest.mark.parametrize(
    ("rows", "size_bytes", "count"),
    [(0, 0, 1), (10, 0, 1), (10, 100, 1), (10, 101, 2), (10, 1000, 10), (3, 1000, 3)],
)
def test_the_number_of_shards_follows_the_bytes_and_is_at_most_the_rows(
    rows: int, size_bytes: int, count: int
) -> None:
    assert order.shard_count(rows, size_bytes, Shards(shard_bytes=100)) == count


@pytest.mark.parametrize("shuffle", [True, False])
def test_a_shard_that_is_merged_in_many_tables_has_the_same_rows(
    monkeypatch: pytest.MonkeyPatch, shuffle: bool
) -> None:
    tables = split(records(*(row(f"{n}", [text("words " * 9)]) for n in range(ROWS))), [3, 9])
    whole = shards(tables, 2, shuffle)
    monkeypatch.setattr(order, "TABLE_BYTES", 500)
    with tempfile.TemporaryDirectory() as folder:
        uris = sort_parts(folder, tables, 2, shuffle)
        pieces = [list(order.gather(uris, number).tables) for number in range(2)]
    assert min(map(len, pieces)) > 2
    assert [pa.concat_tables(found).combine_chunks() for found in pieces] == whole
