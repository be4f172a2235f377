"""Phase 1 of 5: every source (a part, or an index file of an earlier run) writes the hashes and
keys of its units (records or images), split into ranges.

If several units of a source are equal, only the first is written, as their representative; the
others are linked to the representative.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from filters.duplicates.corpus.units import Source, unit_ids
from filters.duplicates.files import edges
from filters.duplicates.files.batches import write_batches
from filters.duplicates.files.edges import Edges
from filters.duplicates.files.ranges import (
    EQUAL,
    EQUAL_SCHEMA,
    NEAR,
    near_schema,
    range_starts,
)
from filters.duplicates.kinds.contract import DescribedUnits
from manifests import storage
from manifests.step import TaskResult

LINKS = ".links.arrow"
"""The ending of the names of files with links between equal units of one source."""


class Sizes(NamedTuple):
    """The sizes by which work is divided into tasks, so that a task needs a bounded amount of
    memory for a corpus of any size.

    `equal_bits`, `near_bits`: identities and keys are split into 2^bits ranges each. `max_entries`:
    a key with more entries than this number is hot: the key is removed from its range, and compared
    by separate tasks. `sources`: the number of sources.
    """

    equal_bits: int
    near_bits: int
    max_entries: int
    sources: int

    @property
    def reported_count(self) -> int:
        """A source reports a key to the driver process, which finds the hot keys, if the key has at
        least this many entries in the source. (A hot key has more than `max_entries` entries in all
        sources together.)

        The number is `max_entries` / `sources`, because each hot key has so many entries in at
        least one source; but at least 64, to keep the reports short. If there are more than
        `max_entries` / 64 sources, a hot key may have fewer than 64 entries in every source, and is
        then not reported. The range with this key is then larger than planned, but the results are
        the same.
        """
        return max(64, self.max_entries // self.sources)


@dataclass(frozen=True)
class WriteKeys:
    """A task: reads the units (records or images) of a source, and writes the first unit of each
    identity (hash of its content) with its keys."""

    describe: Callable[[Source], DescribedUnits]
    sizes: Sizes

    def __call__(self, source: Source, folder: str) -> TaskResult:
        units = self.describe(source)
        representatives, links = _collapse_equal(units, source.number)
        equal = _identity_table(units, representatives)
        starts = range_starts(np.asarray(equal["high"]), self.sizes.equal_bits)
        files = [write_batches(storage.join(folder, source.name + EQUAL), equal, starts)]
        if len(links.a):
            files.append(edges.write(storage.join(folder, source.name + LINKS), links))
        frequent: dict[str, int] = {}
        if len(units.keys) or units.payload.shape[1]:
            near, starts, frequent = _key_table(units, representatives, self.sizes)
            files.append(write_batches(storage.join(folder, source.name + NEAR), near, starts))
        return TaskResult(
            files, {"units": int(np.count_nonzero(units.present)), "frequent": frequent}
        )


def _collapse_equal(units: DescribedUnits, source: int) -> tuple[np.ndarray, Edges]:
    """Returns the first unit (record or image) of each identity, sorted by identity, and pairs of
    this unit with the other units that have the same identity."""
    own = np.flatnonzero(units.present)
    own = own[np.argsort(units.identity[own, 0], kind="stable")]
    identity = units.identity[own]
    first = np.ones(len(own), bool)
    first[1:] = (identity[1:] != identity[:-1]).any(axis=1)
    representatives = own[first]
    if len(representatives) == len(own):
        return representatives, Edges.joined([])
    others = np.flatnonzero(~first)
    linked_to = representatives[np.cumsum(first)[others] - 1]
    similarity = np.ones(len(others), np.float32)
    return representatives, Edges.between(
        unit_ids(source, linked_to), unit_ids(source, own[others]), similarity
    )


def _identity_table(units: DescribedUnits, representatives: np.ndarray) -> pa.Table:
    identity = units.identity[representatives]
    columns = [
        pa.array(np.ascontiguousarray(identity[:, 0])),
        pa.array(np.ascontiguousarray(identity[:, 1])),
        pa.array(representatives.astype(np.uint32)),
    ]
    return pa.table(columns, schema=EQUAL_SCHEMA)


def _key_table(
    units: DescribedUnits, representatives: np.ndarray, sizes: Sizes
) -> tuple[pa.Table, np.ndarray, dict[str, int]]:
    """Returns the keys of the units (records or images) `representatives`, sorted by range; the row
    at which each range starts; and a dict from key to number of entries, for the keys that have at
    least `sizes.reported_count` entries."""
    from manifests.kernels.grouping import partition

    keys, owners = units.keys, units.owners
    if len(representatives) < len(units.present):
        represents = np.zeros(len(units.present), bool)
        represents[representatives] = True
        written = represents[owners]
        keys, owners = keys[written], owners[written]
    marks = np.ascontiguousarray(units.identity[:, 0])
    cut = partition(keys, owners, marks, units.payload, sizes.near_bits)
    schema = near_schema(units.payload.shape[1])
    payload = pa.FixedSizeListArray.from_arrays(
        pa.array(cut.payload.reshape(-1)), type=schema.field("payload").type
    )
    columns = [pa.array(cut.keys), pa.array(cut.marks), pa.array(cut.units), payload]
    table = pa.table(columns, schema=schema)
    frequent = frequent_keys(keys, sizes.reported_count)
    return table, cut.starts, {str(key): count for key, count in frequent.items()}


def frequent_keys(keys: np.ndarray, min_count: int) -> dict[int, int]:
    """Returns the keys (uint64) that occur at least `min_count` times, with their counts:
    frequent_keys([3, 3, 5], 2) -> {3: 2}.

    Keys are first counted by their upper 16 bits; only groups that can have a frequent key are
    sorted.
    """
    if len(keys) < min_count:
        return {}
    upper = (keys >> np.uint64(48)).astype(np.uint16)
    full = np.bincount(upper, minlength=1 << 16) >= min_count
    if not full.any():
        return {}
    found, counts = np.unique(keys[full[upper]], return_counts=True)
    return {int(key): int(n) for key, n in zip(found, counts, strict=True) if n >= min_count}
