"""Reads the data by which the members of a family are compared: the id, the ranks and the image
hashes of each member's record."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.duplicates.corpus.rows import RowReader, pick_rows
from filters.duplicates.corpus.units import Source, UnitsOfSource, split_unit_ids
from filters.duplicates.files.batches import read_batch, write_batches
from filters.duplicates.kinds.perceptual import HASH, HASH_BITS, MIRROR
from filters.duplicates.phases.forest import Forest
from filters.duplicates.ranking.sort_key import SortKey
from manifests import record, storage
from manifests.step import TaskResult, Workspace
from manifests.storage import parts

_UNITS = pa.schema([("unit", pa.uint32())])
_MEMBERS = ".members.arrow"


class Members(NamedTuple):
    """The data of each unit of a forest, in the order of the forest. `ids` are the ids of the
    units' records. `ranks` are (n, sort keys) float64; the lowest is best. `hashes` and `mirrors`
    are the hashes of the records' images and of their mirror images; None if they were not read."""

    ids: pa.Array
    ranks: np.ndarray
    hashes: pa.Array | None
    mirrors: pa.Array | None

    def order(self, forest: Forest, from_earlier_run: np.ndarray) -> np.ndarray:
        """Returns the positions of units, best first. Units of an earlier run come first. Then
        units are ordered by rank, and by id if the ranks are equal."""
        ranks = (self.ranks[:, n] for n in reversed(range(self.ranks.shape[1])))
        return np.lexsort((forest.units, record.id_keys(self.ids), *ranks, ~from_earlier_run))


@dataclass(frozen=True)
class ReadMembers:
    """A task: reads the id, ranks and hashes of each member in a source.

    `units_uri`: a file that lists the members. Units of an earlier run are not ranked: their ranks
    are all 0.
    """

    rows: RowReader
    keep: tuple[SortKey, ...]
    hashes: bool
    units_uri: str

    def __call__(self, task: UnitsOfSource, folder: str) -> TaskResult:
        own = np.asarray(read_batch(self.units_uri, task.batch)["unit"])
        earlier = task.source.number >= len(self.rows.corpus.parts)
        read = [] if earlier else [key.column for key in self.keep]
        read += ["id", *((HASH, MIRROR) if self.hashes else ())]
        table = pick_rows(self.rows(task.source, tuple(dict.fromkeys(read))), own)
        columns = {"id": table["id"]}
        for number, key in enumerate(self.keep):
            ranks = np.zeros(len(own)) if earlier else key.ranks(table)
            columns[f"rank{number}"] = pa.array(ranks)
        if self.hashes:
            columns |= {HASH: table[HASH], MIRROR: table[MIRROR]}
        members = pa.table(columns)
        uri = storage.join(folder, task.name + _MEMBERS)
        return TaskResult([parts.write(uri, members.schema, [members], durable=False)], {})


def read_members(
    members: np.ndarray,
    rows: RowReader,
    sources: list[Source],
    keep: tuple[SortKey, ...],
    hashes: bool,
    space: Workspace,
    name: str = "members",
) -> Members:
    """Reads the data of some units on the workers, in one task for each source that has such units.

    `members` are ascending unit ids; `name` is the name of the phase.
    """
    numbers, own = split_unit_ids(members)
    with_members, starts = np.unique(numbers, return_index=True)
    uri = storage.join(space.scratch, f"{name}.arrow")
    units = pa.table([pa.array(own.astype(np.uint32))], schema=_UNITS)
    write_batches(uri, units, [*starts, len(own)])
    tasks = [UnitsOfSource(sources[n], batch) for batch, n in enumerate(with_members.tolist())]
    folder, commits = space.phase(name, ReadMembers(rows, keep, hashes, uri), tasks)
    files = [storage.join(folder, commit.files[0].name) for commit in commits]
    return _joined(map(parts.read_columns, files), len(keep), hashes)


def _joined(tables: Iterable[pa.Table], keys: int, hashes: bool) -> Members:
    found = list(tables)
    if not found:
        return Members(pa.array([], pa.string()), np.empty((0, keys)), None, None)
    table = pa.concat_tables(found).combine_chunks()
    ranks = [np.asarray(table[f"rank{n}"]) for n in range(keys)]
    return Members(
        record.one_chunk(table["id"]),
        np.stack(ranks, axis=1) if ranks else np.empty((table.num_rows, 0)),
        record.one_chunk(table[HASH]) if hashes else None,
        record.one_chunk(table[MIRROR]) if hashes else None,
    )


def image_similarity(members: Members, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns the similarity (float32) of the images of two records, for each pair of records. It
    is the lowest similarity of a pair of images.

    The i-th image of one record and the i-th image of the other record are a pair. The similarity
    of a pair is the higher one of the similarities with and without mirroring. `first` and `second`
    are (n,) positions of members; both records of a pair have the same number of images.
    """
    assert members.hashes is not None
    assert members.mirrors is not None
    hashes = [members.hashes.take(pa.array(side)) for side in (first, second)]
    mirrors = [members.mirrors.take(pa.array(side)) for side in (first, second)]
    (a, b), (a_mirrored, b_mirrored) = map(_flat, hashes), map(_flat, mirrors)
    distance = np.minimum.reduce(
        [np.bitwise_count(x ^ y) for x, y in ((a, b), (a, b_mirrored), (a_mirrored, b))]
    )
    starts = np.asarray(hashes[0].offsets)[:-1]
    worst = np.maximum.reduceat(distance, starts) if len(distance) else distance
    return (1 - worst / HASH_BITS).astype(np.float32)


def _flat(lists: pa.Array) -> np.ndarray:
    return np.asarray(pc.fill_null(lists.flatten(), 0)).astype(np.uint64)
