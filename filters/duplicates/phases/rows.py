"""The rows of a source: of a part of the corpus, or of a file of an earlier corpus' index."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from filters.duplicates.contract import (
    Described,
    Identity,
    Kind,
    Proof,
    also,
    from_binary,
    identities,
    parts_and_rows,
    units_of,
)
from filters.duplicates.kinds.perceptual import FAMILIES, HASH, MIRROR
from filters.duplicates.phases.forest import Forest
from filters.duplicates.phases.keys import Source
from manifests import storage
from manifests.record import media_lists
from manifests.step import Corpus, Workspace
from manifests.storage import parts

FAMILY_SCHEMA = pa.schema([("unit", pa.uint32()), ("family", pa.uint64())])


@dataclass(frozen=True)
class Rows:
    """Reads sources by number: the parts of the corpus, then the files of an index.

    `families`: a file with a batch for every source, of the images that have a family other
    than themselves; it makes the column `image_families`.
    """

    corpus: Corpus
    remembered: tuple[str, ...] = ()
    families: str | None = None
    each_medium: bool = False
    """A row for every medium of a record instead of one for the record."""

    def __call__(self, source: Source, columns: tuple[str, ...]) -> pa.Table:
        real = tuple(dict.fromkeys(HASH if name == FAMILIES else name for name in columns))
        if self.each_medium:
            real = tuple(dict.fromkeys(("media", *real)))
        own = len(self.corpus.parts)
        if source.number < own:
            table = self.corpus.read(self.corpus.parts[source.number], real)
            table = _each_medium(table) if self.each_medium else table
        else:
            table = parts.read_columns(self.remembered[source.number - own])
        return self._with_families(table, source) if FAMILIES in columns else table

    def _with_families(self, table: pa.Table, source: Source) -> pa.Table:
        assert self.families is not None
        batch = parts.open_part(self.families).get_batch(source.number)
        offsets, hashes = media_lists(table[HASH])
        values = units_of(source.number, np.arange(len(hashes)))
        values[np.asarray(batch["unit"])] = np.asarray(batch["family"])
        flat = pa.array(values, mask=np.asarray(hashes.is_null()))
        lists = pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), flat)
        return table.append_column(FAMILIES, lists)


@dataclass(frozen=True)
class Describe:
    """Says of a source's units what makes them equal, and what brings near ones together."""

    rows: Rows
    kind: Kind | None
    equal: tuple[Identity, ...] = ()

    def __call__(self, source: Source) -> Described:
        columns = [name for one in (self.kind, *self.equal) if one for name in one.columns]
        table = self.rows(source, tuple(dict.fromkeys(columns)))
        said = self.kind.describe(table) if self.kind else None
        for one in self.equal:
            present, identity = from_binary(one.identify(table))
            said = also(said, present, identity) if said else identities(present, identity)
        assert said is not None
        return said


@dataclass(frozen=True)
class ReadProofs:
    """The proofs of some units of a source."""

    rows: Rows
    proof: Proof

    def __call__(self, source: Source, units: np.ndarray) -> pa.Array:
        return self.proof.of(picked(self.rows(source, self.proof.columns), units))


def picked(table: pa.Table, rows: np.ndarray) -> pa.Table:
    """Some rows of a table, by ascending number; chunk by chunk, where `take` joins all first."""
    mask = np.zeros(table.num_rows, bool)
    mask[rows] = True
    return table.filter(pa.array(mask))


def _each_medium(table: pa.Table) -> pa.Table:
    """A row for every medium, with the values of its record, but its own of what has one each."""
    columns = {}
    for name in ("media", HASH, MIRROR):
        if name in table.column_names:
            offsets, columns[name] = media_lists(table[name])
    rows = pa.array(np.repeat(np.arange(table.num_rows), np.diff(offsets)))
    alone = pa.array(np.arange(len(rows) + 1, dtype=np.int32))
    return pa.table(
        {
            name: pa.ListArray.from_arrays(alone, columns[name])
            if name in columns
            else table[name].take(rows)
            for name in table.column_names
        }
    )


def write_families(wood: Forest, sources: int, space: Workspace) -> str:
    """Write, for `Rows`, the images that are not the first of their family."""
    numbers, own = parts_and_rows(wood.units)
    starts = np.searchsorted(numbers, np.arange(sources + 1))
    columns = [pa.array(own.astype(np.uint32)), pa.array(wood.units[wood.family])]
    table = pa.table(columns, schema=FAMILY_SCHEMA)
    uri = storage.join(space.scratch, "families.arrow")
    with parts.writing(uri, FAMILY_SCHEMA, durable=False) as file:
        for start, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
            file.write(table.slice(start, end - start))
    return uri
