"""Reads the rows of a source, which is a part of the corpus or an index file of an earlier run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from filters.duplicates.corpus.image_families import IMAGE_FAMILIES, image_families
from filters.duplicates.corpus.units import Source
from filters.duplicates.kinds.contract import (
    DescribedUnits,
    Identity,
    Kind,
    Verifier,
    identity_only,
    with_identity,
)
from filters.duplicates.kinds.identity import from_binary
from filters.duplicates.kinds.perceptual import HASH, LOOKS
from manifests.record import media_lists
from manifests.step import Corpus
from manifests.storage import parts


@dataclass(frozen=True)
class RowReader:
    """Reads the rows of the source with a given number. A source is a part of the corpus, or an
    index file of an earlier run. The parts have the first numbers, and the index files have the
    next numbers.

    `families_uri` is the file from which the column `image_families` (the group of duplicates of
    each image) is computed. If `row_per_medium` is true, each image or video of a record becomes a
    separate row.
    """

    corpus: Corpus
    index_files: tuple[str, ...] = ()
    families_uri: str | None = None
    row_per_medium: bool = False

    def __call__(self, source: Source, columns: tuple[str, ...]) -> pa.Table:
        stored = [HASH if name == IMAGE_FAMILIES else name for name in columns]
        if self.row_per_medium:
            stored = ["media", *stored]
        table = self._read(source, tuple(dict.fromkeys(stored)))
        if IMAGE_FAMILIES not in columns:
            return table
        assert self.families_uri is not None
        families = image_families(self.families_uri, source, table[HASH])
        return table.append_column(IMAGE_FAMILIES, families)

    def _read(self, source: Source, columns: tuple[str, ...]) -> pa.Table:
        parts_count = len(self.corpus.parts)
        if source.number >= parts_count:
            return parts.read_columns(self.index_files[source.number - parts_count])
        table = self.corpus.read(self.corpus.parts[source.number], columns)
        return _row_per_medium(table) if self.row_per_medium else table


@dataclass(frozen=True)
class DescribeSource:
    """Reads the units of a source (records or single images), and computes the hashes and keys by
    which units are compared. The rules `equal` compute hashes, and `kind`, a kind of
    near-duplicate, computes hashes and keys. `kind` is None if the search is only for equal
    units."""

    rows: RowReader
    kind: Kind | None
    equal: tuple[Identity, ...] = ()

    def __call__(self, source: Source) -> DescribedUnits:
        columns = [name for one in (self.kind, *self.equal) if one for name in one.columns]
        table = self.rows(source, tuple(dict.fromkeys(columns)))
        units = self.kind.describe(table) if self.kind else None
        for rule in self.equal:
            present, identity = from_binary(rule.identify(table))
            if units is None:
                units = identity_only(present, identity)
            else:
                certain = from_binary(rule.certain(table))[1] if self.kind else identity
                units = with_identity(units, present, identity, certain)
        assert units is not None
        return units


@dataclass(frozen=True)
class ReadFeatures:
    """Reads the features of some units (records or images) of a source: the data by which the
    verifier compares candidate pairs."""

    rows: RowReader
    verifier: Verifier

    def __call__(self, source: Source, units: np.ndarray) -> pa.Array:
        return self.verifier.features(pick_rows(self.rows(source, self.verifier.columns), units))


def pick_rows(table: pa.Table, rows: np.ndarray) -> pa.Table:
    """Returns the rows of a table with the given numbers, which must be in ascending order.

    The table is filtered chunk by chunk, because `take` would first copy all chunks into one.
    """
    mask = np.zeros(table.num_rows, bool)
    mask[rows] = True
    return table.filter(pa.array(mask))


def _row_per_medium(table: pa.Table) -> pa.Table:
    """Returns one row for every image or video of every record. In such a row, each list has only
    the element for this image or video; other columns are repeated.

    A record with id r and media [x, y] becomes two rows: r with [x], and r with [y].
    """
    own = {}
    for name in ("media", *LOOKS):
        if name in table.column_names:
            offsets, own[name] = media_lists(table[name])
    rows = pa.array(np.repeat(np.arange(table.num_rows), np.diff(offsets)))
    one_each = pa.array(np.arange(len(rows) + 1, dtype=np.int32))
    return pa.table(
        {
            name: pa.ListArray.from_arrays(one_each, own[name])
            if name in own
            else table[name].take(rows)
            for name in table.column_names
        }
    )
