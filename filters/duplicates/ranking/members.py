"""Reads the data by which the members of a family (group of duplicates) are compared: the id and
the ranks of each member's record, and the hashes and colours of its images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from filters.duplicates.corpus.rows import RowReader, pick_rows
from filters.duplicates.corpus.units import Source, UnitsOfSource, split_unit_ids
from filters.duplicates.files.batches import read_batch, write_batches
from filters.duplicates.kinds.perceptual import HASH_BITS, LOOKS, Tolerance, record_looks
from filters.duplicates.phases.forest import Forest
from filters.duplicates.ranking.sort_key import SortKey
from manifests import record, storage
from manifests.step import TaskResult, Workspace
from manifests.storage import parts

if TYPE_CHECKING:
    from manifests.kernels.look_alike import Looks

_UNITS = pa.schema([("unit", pa.uint32())])
_MEMBERS = ".members.arrow"


class Members(NamedTuple):
    """The data of each of the n units (records or images) of a forest, in the order of the forest.
    `ids` are the ids of the units' records. `ranks` (n, sort keys) float64 has a rank by each sort
    key; the lowest is best. `looks` has the hashes and small colour images (8 x 8 pixels) of the
    units' images; None if they were not read."""

    ids: pa.Array
    ranks: np.ndarray
    looks: Looks | None

    def order(self, forest: Forest, from_earlier_run: np.ndarray) -> np.ndarray:
        """Returns the positions of the units (records or images), best first. Units of an earlier
        run come first. Then units are ordered by rank, and by id if the ranks are equal."""
        ranks = (self.ranks[:, n] for n in reversed(range(self.ranks.shape[1])))
        return np.lexsort((forest.units, record.id_keys(self.ids), *ranks, ~from_earlier_run))


@dataclass(frozen=True)
class ReadMembers:
    """A task: reads the id and the ranks of each member (record or image) in a source and, if
    `looks` is true, the hashes and colours of the member's images.

    `keep` are the sort keys of the ranks. `units_uri` is a file that lists the members. Members of
    an earlier run are not ranked: their ranks are all 0.
    """

    rows: RowReader
    keep: tuple[SortKey, ...]
    looks: bool
    units_uri: str

    def __call__(self, task: UnitsOfSource, folder: str) -> TaskResult:
        own = np.asarray(read_batch(self.units_uri, task.batch)["unit"])
        earlier = task.source.number >= len(self.rows.corpus.parts)
        read = [] if earlier else [key.column for key in self.keep]
        read += ["id", *(LOOKS if self.looks else ())]
        table = pick_rows(self.rows(task.source, tuple(dict.fromkeys(read))), own)
        columns = {"id": table["id"]}
        for number, key in enumerate(self.keep):
            ranks = np.zeros(len(own)) if earlier else key.ranks(table)
            columns[f"rank{number}"] = pa.array(ranks)
        if self.looks:
            columns |= {name: table[name] for name in LOOKS}
        members = pa.table(columns)
        uri = storage.join(folder, task.name + _MEMBERS)
        return TaskResult([parts.write(uri, members.schema, [members], durable=False)], {})


def read_members(
    members: np.ndarray,
    rows: RowReader,
    sources: list[Source],
    keep: tuple[SortKey, ...],
    looks: bool,
    space: Workspace,
    name: str = "members",
) -> Members:
    """Reads the data of some units (records or images) on the workers, in one task for each source
    that has such units.

    `members` are ascending unit ids. `keep` are the sort keys by which the units are ranked. If
    `looks` is true, the hashes and colours of the units' images are read too. `name` is the name of
    the phase.
    """
    numbers, own = split_unit_ids(members)
    with_members, starts = np.unique(numbers, return_index=True)
    uri = storage.join(space.scratch, f"{name}.arrow")
    units = pa.table([pa.array(own.astype(np.uint32))], schema=_UNITS)
    write_batches(uri, units, [*starts, len(own)])
    tasks = [UnitsOfSource(sources[n], batch) for batch, n in enumerate(with_members.tolist())]
    folder, commits = space.phase(name, ReadMembers(rows, keep, looks, uri), tasks)
    files = [storage.join(folder, commit.files[0].name) for commit in commits]
    return _joined(map(parts.read_columns, files), len(keep), looks)


def _joined(tables: Iterable[pa.Table], keys: int, looks: bool) -> Members:
    found = list(tables)
    if not found:
        return Members(pa.array([], pa.string()), np.empty((0, keys)), None)
    table = pa.concat_tables(found).combine_chunks()
    ranks = [np.asarray(table[f"rank{n}"]) for n in range(keys)]
    return Members(
        record.one_chunk(table["id"]),
        np.stack(ranks, axis=1) if ranks else np.empty((table.num_rows, 0)),
        record_looks(table) if looks else None,
    )


def image_similarity(
    members: Members, first: np.ndarray, second: np.ndarray, tolerance: Tolerance
) -> np.ndarray:
    """Returns a similarity (float32) for each pair of records. Each image of the first record is
    compared with the image at the same position in the second record. The similarity is 1 - bits /
    64, where bits is the highest number of bits in which the hashes of two such images differ; it
    is 0 if two such images do not look the same within `tolerance`.

    `first` and `second` are (n,) positions of members; both records of a pair have the same number
    of images.
    """
    from manifests.kernels.look_alike import bits_apart

    assert members.looks is not None
    bits = bits_apart(members.looks, first, second, tolerance)
    return similarity_of_bits(bits)


def similarity_of_bits(bits: np.ndarray) -> np.ndarray:
    """Converts numbers of bits in which the hashes of two images differ to similarities (float32):
    1 - bits / 64. The number -1, which means that the images do not look the same, becomes 0."""
    return np.where(bits < 0, 0, 1 - bits / HASH_BITS).astype(np.float32)
