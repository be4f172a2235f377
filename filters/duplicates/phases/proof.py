"""Third and fourth phase: gather what proves the pairs that met, and compare it.

The pairs are cut into slices, those that hang together side by side. Each part writes the proofs
of its units, once for every slice they are needed in; a slice then compares its pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from filters.duplicates.contract import Proof, parts_and_rows, units_of
from filters.duplicates.phases import edges
from filters.duplicates.phases.edges import Edges
from filters.duplicates.phases.forest import forest
from filters.duplicates.phases.keys import Source
from manifests import storage
from manifests.step import TaskResult, Workspace
from manifests.storage import parts

SLICE_PAIRS = 1 << 16
"""Pairs compared by one task (ours): their proofs take some hundred MB at worst."""

_WANTED = pa.schema([("slice", pa.uint32()), ("unit", pa.uint32())])
_PROOFS = pa.schema([("unit", pa.uint64()), ("proof", pa.list_(pa.uint32()))])
_PROOFS_OF = ".proofs.arrow"

Read = Callable[[Source, np.ndarray], pa.Array]
"""The proofs, list<uint32>, of some units of a source."""


class Of(NamedTuple):
    """A source with units that are asked for: batch `batch` of the file of those."""

    source: Source
    batch: int

    @property
    def name(self) -> str:
        return self.source.name


class Slice(NamedTuple):
    """One slice of the pairs."""

    number: int

    @property
    def name(self) -> str:
        return f"slice-{self.number:05d}"


def proven(met: Edges, proof: Proof, sources: list[Source], read: Read, space: Workspace) -> Edges:
    """The pairs that are duplicates, with their similarity."""
    if not len(met.a):
        return met
    met = _side_by_side(met)
    slices = -(-len(met.a) // SLICE_PAIRS)
    pairs = storage.join(space.scratch, "pairs.arrow")
    wanted = storage.join(space.scratch, "wanted.arrow")
    _write_pairs(met, pairs)
    tasks = [Of(sources[n], i) for i, n in enumerate(_write_wanted(met, wanted))]
    folder, _ = space.phase("proofs", WriteProofs(read, wanted, slices), tasks)
    compare = Compare(proof, pairs, folder, tuple(task.name for task in tasks))
    return Edges.joined(edges.read(*space.phase("proven", compare, map(Slice, range(slices)))))


def _side_by_side(met: Edges) -> Edges:
    """The pairs in an order in which those of connected units stand together."""
    wood = forest(met)
    family = wood.family[np.searchsorted(wood.units, met.a)]
    return met.take(np.lexsort((met.b, met.a, family)))


def _write_pairs(met: Edges, uri: str) -> None:
    table = pa.table([pa.array(column) for column in met], schema=edges.SCHEMA)
    with parts.writing(uri, table.schema, durable=False) as file:
        for start in range(0, len(met.a), SLICE_PAIRS):
            file.write(table.slice(start, SLICE_PAIRS))


def _write_wanted(met: Edges, uri: str) -> list[int]:
    """A batch for every source with units in the pairs; returns the numbers of those sources."""
    slices = (np.arange(len(met.a)) // SLICE_PAIRS).astype(np.uint32)
    units, slices = np.concatenate([met.a, met.b]), np.concatenate([slices, slices])
    order = np.lexsort((units, slices))
    units, slices = units[order], slices[order]
    new = np.ones(len(units), bool)
    new[1:] = (units[1:] != units[:-1]) | (slices[1:] != slices[:-1])
    sources, own = parts_and_rows(units[new])
    slices = slices[new]
    order = np.argsort(sources, kind="stable")
    concerned, starts = np.unique(sources[order], return_index=True)
    columns = [pa.array(slices[order]), pa.array(own[order].astype(np.uint32))]
    table = pa.table(columns, schema=_WANTED)
    with parts.writing(uri, _WANTED, durable=False) as file:
        for start, end in zip(starts, np.append(starts[1:], len(order)), strict=True):
            file.write(table.slice(start, end - start))
    return [int(number) for number in concerned]


@dataclass(frozen=True)
class WriteProofs:
    """A task: the proofs of a source's units, a record batch for every slice."""

    read: Read
    wanted: str
    slices: int

    def __call__(self, task: Of, folder: str) -> TaskResult:
        asked = pa.table(parts.open_part(self.wanted).get_batch(task.batch))
        slices, own = np.asarray(asked["slice"]), np.asarray(asked["unit"])
        distinct, which = np.unique(own, return_inverse=True)
        proofs = self.read(task.source, distinct).take(pa.array(which))
        units = pa.array(units_of(task.source.number, own))
        table = pa.table([units, proofs.cast(_PROOFS.field("proof").type)], schema=_PROOFS)
        starts = np.searchsorted(slices, np.arange(self.slices + 1))
        uri = storage.join(folder, task.name + _PROOFS_OF)
        with parts.writing(uri, _PROOFS, durable=False) as file:
            for start, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
                file.write(table.slice(start, end - start))
        return TaskResult([file.entry], {})


@dataclass(frozen=True)
class Compare:
    """A task: the pairs of a slice that are duplicates, reduced to a spanning forest."""

    proof: Proof
    pairs: str
    folder: str
    sources: tuple[str, ...]

    def __call__(self, task: Slice, folder: str) -> TaskResult:
        met = edges.from_table(pa.table(parts.open_part(self.pairs).get_batch(task.number)))
        table = pa.concat_tables(self._proofs(task.number)).combine_chunks()
        units = np.asarray(table["unit"])
        order = np.argsort(units)
        at = [order[np.searchsorted(units, side, sorter=order)] for side in (met.a, met.b)]
        proofs = table["proof"].combine_chunks()
        similarity = self.proof.similarity(np.stack(at, axis=1).astype(np.int64), proofs)
        found = met._replace(similarity=similarity.astype(np.float32))
        wood = forest(found.take(similarity >= self.proof.least)).edges
        if not len(wood.a):
            return TaskResult([], {})
        return TaskResult([edges.write(storage.join(folder, task.name + ".arrow"), wood)], {})

    def _proofs(self, number: int) -> list[pa.Table]:
        uris = (storage.join(self.folder, name + _PROOFS_OF) for name in self.sources)
        return [pa.table(parts.open_part(uri).get_batch(number)) for uri in uris]
