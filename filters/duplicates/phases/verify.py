"""Phase 3 of 5: candidate pairs are compared exactly, by the features of both units (records or
images). Features are data that is too large to be stored with every key of a unit.

The pairs are split into slices. First a task for each source writes the features of its units, once
for every slice that needs them. Then a task for each slice compares its pairs. Pairs of one
connected component are next to each other, so that few units are needed in more than one slice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from filters.duplicates.corpus.units import Source, UnitsOfSource, split_unit_ids, unit_ids
from filters.duplicates.files import edges
from filters.duplicates.files.batches import read_batch, write_batches
from filters.duplicates.files.edges import Edges
from filters.duplicates.kinds.contract import Verifier
from filters.duplicates.phases.forest import spanning_forest
from manifests import storage
from manifests.step import TaskResult, Workspace

SLICE_PAIRS = 1 << 16
"""The number of pairs that one task compares (our choice): their features need at most a few
hundred MB."""

_WANTED = pa.schema([("slice", pa.uint32()), ("unit", pa.uint32())])
_FEATURES_SCHEMA = pa.schema([("unit", pa.uint64()), ("features", pa.list_(pa.uint32()))])
_FEATURES = ".features.arrow"

ReadUnits = Callable[[Source, np.ndarray], pa.Array]
"""The type of a function that reads the features (list<uint32>) of some units of a source. The
numbers of the units are ascending."""


class PairSlice(NamedTuple):
    """One slice of the candidate pairs: the pairs that one task compares."""

    number: int

    @property
    def name(self) -> str:
        return f"slice-{self.number:05d}"


def verify_pairs(
    candidates: Edges, verifier: Verifier, sources: list[Source], read: ReadUnits, space: Workspace
) -> Edges:
    """Compares the candidate pairs, in slices. Finds the pairs that are duplicates, and returns a
    spanning forest of the pairs in each slice, with their exact similarity."""
    if not len(candidates.a):
        return candidates
    pairs = _sorted_by_component(candidates)
    starts = [*range(0, len(pairs.a), SLICE_PAIRS), len(pairs.a)]
    slices = len(starts) - 1
    pairs_uri = storage.join(space.scratch, "pairs.arrow")
    wanted_uri = storage.join(space.scratch, "wanted.arrow")
    write_batches(pairs_uri, edges.to_table(pairs), starts)
    wanted = _write_wanted(pairs, wanted_uri)
    tasks = [UnitsOfSource(sources[number], batch) for batch, number in enumerate(wanted)]
    folder, _ = space.phase("features", WriteFeatures(read, wanted_uri, slices), tasks)
    compare = ComparePairs(verifier, pairs_uri, folder, tuple(task.name for task in tasks))
    verified = space.phase("verified", compare, map(PairSlice, range(slices)))
    return Edges.joined(edges.read(*verified))


def _sorted_by_component(pairs: Edges) -> Edges:
    """Sorts the pairs so that pairs of one connected component are next to each other."""
    forest = spanning_forest(pairs)
    component = forest.component[np.searchsorted(forest.units, pairs.a)]
    return pairs.take(np.lexsort((pairs.b, pairs.a, component)))


def _write_wanted(pairs: Edges, uri: str) -> list[int]:
    """Writes, to the file `uri`, the units (records or images) that the slices of the pairs need,
    in one record batch for each source that has such units. Returns the numbers of these sources.

    Each row of a batch is (slice, number of the unit in its source); rows are sorted.
    """
    slices = (np.arange(len(pairs.a)) // SLICE_PAIRS).astype(np.uint32)
    units, slices = np.concatenate([pairs.a, pairs.b]), np.concatenate([slices, slices])
    order = np.lexsort((units, slices))
    units, slices = units[order], slices[order]
    new = np.ones(len(units), bool)
    new[1:] = (units[1:] != units[:-1]) | (slices[1:] != slices[:-1])
    sources, own = split_unit_ids(units[new])
    slices = slices[new]
    order = np.argsort(sources, kind="stable")
    numbers, starts = np.unique(sources[order], return_index=True)
    columns = [pa.array(slices[order]), pa.array(own[order].astype(np.uint32))]
    write_batches(uri, pa.table(columns, schema=_WANTED), [*starts, len(order)])
    return [int(number) for number in numbers]


@dataclass(frozen=True)
class WriteFeatures:
    """A task: writes the features of a source's units (records or images), in one record batch for
    every slice of the pairs. `wanted` is the file that lists the units that each slice needs."""

    read: ReadUnits
    wanted: str
    slices: int

    def __call__(self, task: UnitsOfSource, folder: str) -> TaskResult:
        wanted = read_batch(self.wanted, task.batch)
        slices, own = np.asarray(wanted["slice"]), np.asarray(wanted["unit"])
        distinct, position = np.unique(own, return_inverse=True)
        features = self.read(task.source, distinct).take(pa.array(position))
        units = pa.array(unit_ids(task.source.number, own))
        cast = features.cast(_FEATURES_SCHEMA.field("features").type)
        table = pa.table([units, cast], schema=_FEATURES_SCHEMA)
        starts = np.searchsorted(slices, np.arange(self.slices + 1))
        return TaskResult(
            [write_batches(storage.join(folder, task.name + _FEATURES), table, starts)], {}
        )


@dataclass(frozen=True)
class ComparePairs:
    """A task: compares the candidate pairs of a slice, and writes a spanning forest of the pairs
    that are duplicates.

    `pairs` is the file of all candidate pairs, with a record batch for each slice. `folder` has a
    file of features for each source (a part of the corpus, or an index file of an earlier run) that
    has a unit in a candidate pair. `sources` are the names of these sources, from which the names
    of the files are made.
    """

    verifier: Verifier
    pairs: str
    folder: str
    sources: tuple[str, ...]

    def __call__(self, task: PairSlice, folder: str) -> TaskResult:
        pairs = edges.from_table(read_batch(self.pairs, task.number))
        table = pa.concat_tables(self._features(task.number)).combine_chunks()
        units = np.asarray(table["unit"])
        order = np.argsort(units)
        at = [order[np.searchsorted(units, side, sorter=order)] for side in (pairs.a, pairs.b)]
        features = table["features"].combine_chunks()
        similarity = self.verifier.similarity(np.stack(at, axis=1).astype(np.int64), features)
        compared = pairs._replace(similarity=similarity.astype(np.float32))
        duplicates = compared.take(similarity >= self.verifier.min_similarity)
        kept = spanning_forest(duplicates).edges
        if not len(kept.a):
            return TaskResult([], {})
        return TaskResult([edges.write(storage.join(folder, task.name + ".arrow"), kept)], {})

    def _features(self, number: int) -> list[pa.Table]:
        uris = (storage.join(self.folder, name + _FEATURES) for name in self.sources)
        return [read_batch(uri, number) for uri in uris]
