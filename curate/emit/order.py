"""The order of rows in shards: sorted by a hash of (seed, id) and cut into ranges of that hash.

It takes two rounds. Each part is sorted and cut into one record batch a shard (`bucket`, or `cut`
where the corpus order is kept); then each shard takes its batch of every part (`gather`). The
place of a row depends on the seed, its id and the number of shards, and on nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.emit.settings import Shards
from manifests.errors import ManifestError
from manifests.record import one_chunk, random_keys
from manifests.storage import parts

PLACE = "shard_order"
"""The column (uint64) by which the rows of a sorted part stand; `gather` takes it out again."""


def shard_count(rows: int, size_bytes: int, settings: Shards) -> int:
    """How many shards rows of so many bytes of media and text make; no rows make an empty one.

    A shard is a range of hashes, so shards differ in size as random draws do.
    """
    return max(1, min(rows, -(-size_bytes // settings.shard_bytes)))


def shard_of(record_id: str, seed: int, count: int) -> int:
    """The number of the shard that a record of this id goes to, where shards are shuffled."""
    return int(random_keys(pa.array([record_id]), seed)[0]) * count >> 64


def bucket(table: pa.Table, seed: int, count: int) -> list[pa.Table]:
    """A part's rows sorted by hash (ties by id) and cut in `count`, empty ones included.

    Piece i holds the rows whose hash lies in [i, i + 1) * 2**64 / count.
    """
    keys = random_keys(table["id"], seed)
    return _pieces(_sorted(table, keys), [-(-(i << 64) // count) for i in range(1, count)])


def cut(table: pa.Table, first: int, rows: int, count: int) -> list[pa.Table]:
    """A part's rows in corpus order, cut in `count`. `first`: the rows of the parts before it.

    Piece i holds the rows whose number among all `rows` lies in [i, i + 1) * rows / count.
    """
    places = np.arange(first, first + table.num_rows, dtype=np.uint64)
    return _pieces(_sorted(table, places), [-(-i * rows // count) for i in range(1, count)])


def gather(part_uris: Iterable[str], number: int) -> pa.Table:
    """The rows of a shard in their final order: batch `number` of every sorted part.

    Raises ManifestError where two of them have one id. Rows of one id have one hash, so they
    always meet here where shards are shuffled; in corpus order only those of one shard do.
    """
    batches = [pa.table(parts.open_part(uri).get_batch(number)) for uri in part_uris]
    table = pa.concat_tables(batches)
    table = _sorted(table.drop_columns([PLACE]), np.asarray(one_chunk(table[PLACE])))
    _refuse_twins(table)
    return table.drop_columns([PLACE])


def _sorted(table: pa.Table, places: np.ndarray) -> pa.Table:
    """The rows by place, then id, with the places as one more column."""
    order = np.argsort(places)
    placed = places[order]
    if len(placed) and (placed[1:] == placed[:-1]).any():
        both = pa.table({PLACE: places, "id": table["id"]})
        by = [(PLACE, "ascending"), ("id", "ascending")]
        order = np.asarray(pc.sort_indices(both, sort_keys=by))
    return table.combine_chunks().take(pa.array(order)).append_column(PLACE, pa.array(placed))


def _pieces(table: pa.Table, bounds: list[int]) -> list[pa.Table]:
    places = np.asarray(one_chunk(table[PLACE]))
    cuts = np.searchsorted(places, np.array(bounds, np.uint64), side="left").tolist()
    starts, stops = [0, *cuts], [*cuts, table.num_rows]
    return [table.slice(a, b - a) for a, b in zip(starts, stops, strict=True)]


def _refuse_twins(table: pa.Table) -> None:
    counted = pc.value_counts(one_chunk(table["id"]))
    twice = counted.filter(pc.greater(counted.field("counts"), 1))
    if not len(twice):
        return
    twin = twice[0]["values"].as_py()
    origins = table.filter(pc.equal(table["id"], twin))["origin"].to_pylist()
    raise ManifestError(
        f"{len(origins)} records have this id: {' and '.join(map(str, origins[:2]))}.",
        f"record {twin}",
        "Give the sources different names, or read each file once.",
    )
