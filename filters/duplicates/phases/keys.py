"""First phase: what every part says of its units, split by range of identity and of key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from filters.duplicates.contract import Described, units_of
from filters.duplicates.phases import edges
from filters.duplicates.phases.edges import Edges
from manifests import storage
from manifests.step import TaskResult
from manifests.storage import parts
from manifests.storage.file_entry import FileEntry

SAME, NEAR, LINKS = ".same.arrow", ".near.arrow", ".links.arrow"
SAME_SCHEMA = pa.schema([("high", pa.uint64()), ("low", pa.uint64()), ("unit", pa.uint32())])


class Source(NamedTuple):
    """Where units come from: a part of the corpus, or a file of an earlier corpus' index."""

    number: int
    name: str


class Sizes(NamedTuple):
    """How the work is cut, so that a task's memory is bounded whatever the corpus is.

    `same_bits`, `near_bits`: there are 2^bits ranges. `hot`: a key that so many entries share is
    taken out of its range. `sources`: how many parts there are.
    """

    same_bits: int
    near_bits: int
    hot: int
    sources: int

    @property
    def hot_here(self) -> int:
        """A key that is hot in the corpus has so many entries in at least one part."""
        return max(64, self.hot // self.sources)


@dataclass(frozen=True)
class WriteKeys:
    """A task: describe the units of a source, let one stand for equal ones, write the others."""

    describe: Callable[[Source], Described]
    sizes: Sizes

    def __call__(self, source: Source, folder: str) -> TaskResult:
        said = self.describe(source)
        standing, links = _collapsed(said, source.number)
        same = _same(said, standing)
        at = np.searchsorted(
            _ranges(same["high"], self.sizes.same_bits), _numbers(self.sizes.same_bits)
        )
        files = [_write(folder, source.name + SAME, same, at)]
        if len(links.a):
            files.append(edges.write(storage.join(folder, source.name + LINKS), links))
        hot: dict[str, int] = {}
        if len(said.keys) or said.payload.shape[1]:
            near, starts, hot = _near(said, standing, self.sizes)
            files.append(_write(folder, source.name + NEAR, near, starts))
        return TaskResult(files, {"units": int(np.count_nonzero(said.present)), "hot": hot})


def near_schema(words: int) -> pa.Schema:
    payload = pa.list_(pa.field("item", pa.uint64(), nullable=False), words)
    return pa.schema(
        [("key", pa.uint64()), ("mark", pa.uint64()), ("unit", pa.uint32()), ("payload", payload)]
    )


def _collapsed(said: Described, number: int) -> tuple[np.ndarray, Edges]:
    """The units that stand for their identity, by identity; the others' links to them."""
    own = np.flatnonzero(said.present)
    own = own[np.argsort(said.identity[own, 0], kind="stable")]
    identity = said.identity[own]
    first = np.ones(len(own), bool)
    first[1:] = (identity[1:] != identity[:-1]).any(axis=1)
    standing = own[first]
    if len(standing) == len(own):
        return standing, Edges.joined([])
    others = np.flatnonzero(~first)
    its_first = standing[np.cumsum(first)[others] - 1]
    ones = np.ones(len(others), np.float32)
    return standing, Edges.between(units_of(number, its_first), units_of(number, own[others]), ones)


def _same(said: Described, standing: np.ndarray) -> pa.Table:
    identity = said.identity[standing]
    columns = [
        pa.array(np.ascontiguousarray(identity[:, 0])),
        pa.array(np.ascontiguousarray(identity[:, 1])),
        pa.array(standing.astype(np.uint32)),
    ]
    return pa.table(columns, schema=SAME_SCHEMA)


def _near(
    said: Described, standing: np.ndarray, sizes: Sizes
) -> tuple[pa.Table, np.ndarray, dict[str, int]]:
    """The entries of the units that stand, where each range starts, and keys that may be hot."""
    from manifests.kernels.grouping import partition

    keys, owners = said.keys, said.owners
    if len(standing) < len(said.present):
        stands = np.zeros(len(said.present), bool)
        stands[standing] = True
        mine = stands[owners]
        keys, owners = keys[mine], owners[mine]
    marks = np.ascontiguousarray(said.identity[:, 0])
    cut = partition(keys, owners, marks, said.payload, sizes.near_bits)
    schema = near_schema(said.payload.shape[1])
    payload = pa.FixedSizeListArray.from_arrays(
        pa.array(cut.payload.reshape(-1)), type=schema.field("payload").type
    )
    columns = [pa.array(cut.keys), pa.array(cut.marks), pa.array(cut.units), payload]
    return pa.table(columns, schema=schema), cut.starts, _often(keys, sizes.hot_here)


def _often(keys: np.ndarray, least: int) -> dict[str, int]:
    """The keys that come at least so often, and how often: first by a hash table of counts."""
    if len(keys) < least:
        return {}
    slots = (keys >> np.uint64(48)).astype(np.uint16)
    full = np.bincount(slots, minlength=1 << 16) >= least
    if not full.any():
        return {}
    found, counts = np.unique(keys[full[slots]], return_counts=True)
    return {str(key): int(n) for key, n in zip(found, counts, strict=True) if n >= least}


def _ranges(keys: pa.ChunkedArray, bits: int) -> np.ndarray:
    """The range of each key: its top bits."""
    # A shift by all 64 bits is undefined, so one range is two halves of a shift by 63.
    return np.asarray(keys) >> np.uint64(63 - bits) >> np.uint64(1)


def _numbers(bits: int) -> np.ndarray:
    return np.arange((1 << bits) + 1, dtype=np.uint64)


def _write(folder: str, name: str, table: pa.Table, starts: np.ndarray) -> FileEntry:
    """A file with a record batch for every range."""
    with parts.writing(storage.join(folder, name), table.schema, durable=False) as file:
        for start, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
            file.write(table.slice(start, end - start))
    return file.entry


def read_range(folder: str, sources: list[Source], ending: str, number: int) -> pa.Table | None:
    """One range of all sources, with units numbered across the corpus; None if none wrote any."""
    tables = []
    for source in sources:
        uri = storage.join(folder, source.name + ending)
        if storage.size_and_stamp(uri) is None:
            continue
        batch = pa.table(parts.open_part(uri).get_batch(number))
        units = units_of(source.number, np.asarray(batch["unit"]))
        at = batch.schema.get_field_index("unit")
        tables.append(batch.set_column(at, "unit", pa.array(units)))
    return pa.concat_tables(tables).combine_chunks() if tables else None
