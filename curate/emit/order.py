"""The order of rows in shards. If rows are shuffled, they are sorted by a hash of (seed, id), and
each shard has a range of this hash. Otherwise, each shard has a range of the corpus.

There are two phases. First, the rows of each file of records are sorted and cut into one record
batch for each shard (by `bucket`, or by `cut` if the order of the corpus is kept). Then each shard
merges its record batches from all files (`gather`). The shard of a shuffled row depends only on the
seed, the row's id and the number of shards.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.emit.settings import Shards
from manifests.errors import ManifestError
from manifests.record import one_chunk, random_keys
from manifests.storage import parts

SORT_KEY = "shard_order"
"""The name of the uint64 column by which the rows of a part are sorted. `gather` removes this
column."""


TABLE_BYTES = 64 << 20
"""Rows of a shard are merged in tables of this size (our choice)."""


def shard_count(rows: int, size_bytes: int, settings: Shards) -> int:
    """Returns the number of shards for `rows` rows with `size_bytes` of media and text; at least 1.

    Shuffled rows are assigned by hash, so the sizes of shards vary at random.
    """
    return max(1, min(rows, -(-size_bytes // settings.shard_bytes)))


def shard_of(record_id: str, seed: int, count: int) -> int:
    """Returns the number of the shard that contains a record, if shards are shuffled."""
    return int(random_keys(pa.array([record_id]), seed)[0]) * count >> 64


def bucket(table: pa.Table, seed: int, count: int) -> list[pa.Table]:
    """Returns the rows of the table sorted by hash, then by id, and cut into `count` tables, which
    may be empty.

    Table i has the rows whose hash is at least i * 2**64 / count and below (i + 1) * 2**64 / count.
    """
    keys = random_keys(table["id"], seed)
    return _pieces(_sorted(table, keys), [-(-(i << 64) // count) for i in range(1, count)])


def cut(table: pa.Table, first: int, rows: int, count: int) -> list[pa.Table]:
    """Returns the rows of the table in the order of the corpus, cut into `count` tables.

    `first` is the number of the table's first row among all `rows` rows of the corpus. Table i of
    the result has the rows with numbers from i * rows / count up to, but not including, (i + 1) *
    rows / count.
    """
    keys = np.arange(first, first + table.num_rows, dtype=np.uint64)
    return _pieces(_sorted(table, keys), [-(-i * rows // count) for i in range(1, count)])


class Gathered(NamedTuple):
    """The rows of a shard in their final order. `tables` yields the rows once, in tables of about
    TABLE_BYTES, so that only one table is copied to memory at a time."""

    schema: pa.Schema
    rows: int
    tables: Iterator[pa.Table]


def gather(part_uris: Iterable[str], number: int) -> Gathered:
    """Returns the rows of shard `number`. They are in the record batch `number` of each file in
    `part_uris`, whose rows are sorted.

    Raises ManifestError if two rows have the same id. If shards are shuffled, such rows are always
    found, because they have the same hash. In the order of the corpus, they are found only if they
    are in the same shard.
    """
    batches = [pa.table(parts.open_part(uri).get_batch(number)) for uri in part_uris]
    narrow = pa.concat_tables(batch.select(["id", "origin", SORT_KEY]) for batch in batches)
    _refuse_repeated_ids(narrow)
    schema, keys = batches[0].drop_columns([SORT_KEY]).schema, np.asarray(narrow[SORT_KEY])
    return Gathered(schema, len(keys), _merged(batches, np.sort(keys)))


def _merged(batches: list[pa.Table], keys: np.ndarray) -> Iterator[pa.Table]:
    """Merges sorted tables, and yields the rows in tables of about TABLE_BYTES. `keys` are the keys
    of all rows, sorted."""
    count = -(-sum(batch.nbytes for batch in batches) // TABLE_BYTES) or 1
    bounds = [int(keys[len(keys) * i // count]) for i in range(1, count)]
    for same_keys in zip(*(_pieces(batch, bounds) for batch in batches), strict=True):
        table = pa.concat_tables(same_keys)
        table = _sorted(table.drop_columns([SORT_KEY]), np.asarray(one_chunk(table[SORT_KEY])))
        yield table.drop_columns([SORT_KEY])


def _sorted(table: pa.Table, keys: np.ndarray) -> pa.Table:
    """Returns the rows sorted by key, then by id. keys[i] is the key of row i; the sorted keys are
    added as the column `SORT_KEY`."""
    order = np.argsort(keys)
    ascending = keys[order]
    if len(keys) and (ascending[1:] == ascending[:-1]).any():
        both = pa.table({SORT_KEY: keys, "id": table["id"]})
        by = [(SORT_KEY, "ascending"), ("id", "ascending")]
        order = np.asarray(pc.sort_indices(both, sort_keys=by))
    return table.combine_chunks().take(pa.array(order)).append_column(SORT_KEY, pa.array(ascending))


def _pieces(table: pa.Table, bounds: list[int]) -> list[pa.Table]:
    """Cuts a sorted table into len(bounds) + 1 tables. `bounds` are ascending keys: the first table
    has the rows with keys below bounds[0], the second table the rows with keys from bounds[0] up
    to, but not including, bounds[1], and so on."""
    keys = np.asarray(one_chunk(table[SORT_KEY]))
    cuts = np.searchsorted(keys, np.array(bounds, np.uint64), side="left").tolist()
    starts, stops = [0, *cuts], [*cuts, table.num_rows]
    return [table.slice(a, b - a) for a, b in zip(starts, stops, strict=True)]


def _refuse_repeated_ids(table: pa.Table) -> None:
    counts = pc.value_counts(one_chunk(table["id"]))
    repeated = counts.filter(pc.greater(counts.field("counts"), 1))
    if not len(repeated):
        return
    record_id = repeated[0]["values"].as_py()
    origins = table.filter(pc.equal(table["id"], record_id))["origin"].to_pylist()
    raise ManifestError(
        f"{len(origins)} records have the same id: {' and '.join(map(str, origins[:2]))}.",
        f"record {record_id}",
        "An id must be unique. If a step or reader of your own made these records, correct its ids "
        "or keys. Otherwise, please report this.",
    )
