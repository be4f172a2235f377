"""The phases of the search: marked records are collected, compared with each part of the pool, and
the nearest records of all parts are merged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clustering.neighbours.best import Nearest, Top, compare
from clustering.neighbours.vectors import KeptIndex, pool_vectors
from manifests import record, storage
from manifests.errors import StepError
from manifests.step import Corpus, Part, TaskResult
from manifests.storage import parts
from manifests.vectors.units import Units, dimensions_of, present_units

MARKED_ROWS = 4096
"""How many marked records are compared at a time, and are merged in one task (our choice)."""
POOL_ROWS = 8192
"""How many records of a pool are compared at a time (our choice)."""

MARKED, NEAREST, TOP, CHOSEN = ".marked.arrow", ".nearest.arrow", ".top.arrow", ".chosen.arrow"
_NEAREST = pa.schema([("row", pa.int64()), ("cosine", pa.float32()), ("of", pa.string())])
_TOP = pa.schema(
    [("marked", pa.int64()), ("cosine", pa.float32()), ("key", pa.uint64()), ("row", pa.int64())]
)
_CHOSEN = pa.schema([("part", pa.int64()), ("row", pa.int64())])


class Columns(NamedTuple):
    """The names of the columns of vectors and of marks, and of the sources that are the pool."""

    of: str
    near: str
    pool: tuple[str, ...]

    def in_pool(self, rows: pa.Table) -> np.ndarray:
        return np.asarray(pc.is_in(rows["source"], pa.array(self.pool, pa.string())))

    def marked(self, rows: pa.Table) -> np.ndarray:
        """Returns bool (rows,): whether a record is marked. Raises StepError if the values of the
        column of marks are not true and false."""
        kind = rows[self.near].type
        if not pa.types.is_boolean(kind):
            raise StepError(
                f"the column '{self.near}' has the type {kind}", "the setting 'near'",
                "Name a column of true and false, such as cluster.sparse.",
            )  # fmt: skip
        return np.asarray(rows[self.near].fill_null(False))


@dataclass(frozen=True)
class CollectMarked:
    """A task: writes the ids and vectors of a part's marked records that are outside of the
    pool."""

    corpus: Corpus
    columns: Columns

    def __call__(self, part: Part, folder: str) -> TaskResult:
        rows = self.corpus.read(part)
        width, in_pool = dimensions_of(rows[self.columns.of], "of"), self.columns.in_pool(rows)
        marks = self.columns.marked(rows) & ~in_pool
        table = rows.select(["id", self.columns.of]).filter(pa.array(marks))
        if width is None:
            table = table.slice(0, 0)
        else:
            present = present_units(table[self.columns.of], width).rows
            table = table.take(pa.array(present))
        table = table.rename_columns(["id", "vector"]).combine_chunks()
        uri = storage.join(folder, part.name + MARKED)
        cut = range(0, table.num_rows, MARKED_ROWS)
        blocks = [table.slice(start, MARKED_ROWS) for start in cut]
        entry = parts.write(uri, table.schema, blocks, durable=False)
        sources = pc.unique(rows["source"].filter(pa.array(in_pool))).to_pylist()
        detail = {"marked": table.num_rows, "width": width, "pool": sorted(sources)}
        return TaskResult([entry], detail)


class Block(NamedTuple):
    """A block of marked records: record batch number `batch` of the file `uri`. `first`: the number
    of its first record among all marked records."""

    uri: str
    batch: int
    first: int
    rows: int

    def read(self, width: int) -> tuple[pa.Array, Units]:
        """Returns the ids and the vectors of the records of the block."""
        table = pa.table(parts.open_part(self.uri).get_batch(self.batch))
        return record.one_chunk(table["id"]), present_units(table["vector"], width).units


def blocks_of(files: list[tuple[str, int]]) -> list[Block]:
    """Returns the blocks of all files of marked records. `files` has the path of each file and its
    number of rows."""
    found, first = [], 0
    for uri, rows in files:
        for batch, start in enumerate(range(0, rows, MARKED_ROWS)):
            own = min(MARKED_ROWS, rows - start)
            found.append(Block(uri, batch, first, own))
            first += own
    return found


@dataclass(frozen=True)
class SearchPart:
    """A task: compares all records of the pool in a part with all marked records.

    To the file NEAREST it writes the nearest marked record of each record of the pool. To the file
    TOP it writes the `count` nearest records of the part for each marked record, in one record
    batch for each block of marked records. A task holds POOL_ROWS vectors of the pool, the vectors
    of one block of marked records, and 12 x `count` bytes for each marked record.
    """

    corpus: Corpus
    columns: Columns
    blocks: tuple[Block, ...]
    width: int
    count: int
    min: float
    kept: tuple[KeptIndex, ...]

    def __call__(self, part: Part, folder: str) -> TaskResult:
        table = self.corpus.read(part, ("id", "source", self.columns.of))
        rows = np.flatnonzero(self.columns.in_pool(table))
        table = table.take(pa.array(rows))
        order = np.asarray(pc.sort_indices(table["id"]))  # equal cosines are in the order of ids
        tops = [Top(block.rows, self.count) for block in self.blocks]
        found = [
            self._nearest(table.take(pa.array(some)), start, tops, part)
            for start, some in _cut(order)
        ]
        nearest = pa.concat_tables([_NEAREST.empty_table(), *found])
        of_sorted = np.asarray(nearest["row"])
        at = pa.array(rows[order[of_sorted]])
        nearest = nearest.set_column(0, "row", at).sort_by("row")
        uri = storage.join(folder, part.name + NEAREST)
        entry = parts.write(uri, _NEAREST, [nearest], durable=False)
        keys = record.id_keys(table["id"])
        batches = [
            _top_table(block, top, order, keys, rows)
            for block, top in zip(self.blocks, tops, strict=True)
        ]
        uri = storage.join(folder, part.name + TOP)
        return TaskResult([entry, parts.write(uri, _TOP, batches, durable=False)], {})

    def _nearest(self, table: pa.Table, start: int, tops: list[Top], part: Part) -> pa.Table:
        """Compares some records of the pool with all marked records. The records of the pool are
        numbered from `start` on. Returns the nearest marked record of each, with the schema
        _NEAREST."""
        own = sorted(self.kept, key=lambda one: storage.base_name(one.ids) != part.name)
        pool = pool_vectors(table["id"], table[self.columns.of], self.width, tuple(own))
        nearest = Nearest(pool.units.rows)
        ids = np.full(pool.units.rows, None, object)
        for block, top in zip(self.blocks, tops, strict=True):
            names, units = block.read(self.width)
            before = nearest.at.copy()
            numbers, keys = start + pool.rows, record.id_keys(names)
            compare(units, pool.units, numbers, top, nearest, block.first, keys, self.min)
            new = nearest.at != before
            ids[new] = np.array(names.to_pylist(), object)[nearest.at[new] - block.first]
        row, of = pa.array(start + pool.rows), pa.array(ids, pa.string())
        return pa.table([row, pa.array(nearest.cosine), of], schema=_NEAREST)


def _cut(order: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    for start in range(0, len(order), POOL_ROWS):
        yield start, order[start : start + POOL_ROWS]


def _top_table(
    block: Block, top: Top, order: np.ndarray, keys: np.ndarray, rows: np.ndarray
) -> pa.Table:
    marked, place = np.nonzero(top.at >= 0)
    own = order[top.at[marked, place]]
    columns = [block.first + marked, top.cosine[marked, place], keys[own], rows[own]]
    return pa.table([pa.array(column) for column in columns], schema=_TOP)


class MergeTask(NamedTuple):
    """Merges what all parts have found for one block of marked records."""

    block: int

    @property
    def name(self) -> str:
        return f"block-{self.block:06d}"


@dataclass(frozen=True)
class Merge:
    """A task: finds the `count` nearest records of the whole pool for each marked record of a
    block, and writes where they are: the numbers of their parts and rows, sorted. `files` has the
    number of each part and its file TOP."""

    files: tuple[tuple[int, str], ...]
    count: int

    def __call__(self, task: MergeTask, folder: str) -> TaskResult:
        total = _TOP.append(pa.field("part", pa.int64())).empty_table()
        for part, uri in self.files:
            table = pa.table(parts.open_part(uri).get_batch(task.block))
            own = pa.array(np.full(table.num_rows, part))
            total = self._nearest(pa.concat_tables([total, table.append_column("part", own)]))
        chosen = total.select(["part", "row"]).group_by(["part", "row"]).aggregate([])
        order = [("part", "ascending"), ("row", "ascending")]
        chosen = chosen.select(["part", "row"]).sort_by(order)
        uri = storage.join(folder, task.name + CHOSEN)
        return TaskResult([parts.write(uri, _CHOSEN, [chosen], durable=False)], {})

    def _nearest(self, table: pa.Table) -> pa.Table:
        """Returns the rows of the `count` nearest records of each marked record. If records are
        equally near, those with the lowest ids are taken."""
        marked, cosine, key = (np.asarray(table[name]) for name in ("marked", "cosine", "key"))
        order = np.lexsort((key, -cosine, marked))
        marked = marked[order]
        place = np.arange(len(order)) - np.searchsorted(marked, marked)
        return table.take(pa.array(order[place < self.count]))


def chosen_rows(files: tuple[str, ...], part: int) -> np.ndarray:
    """Returns the numbers of the rows of a part that are among the nearest neighbours of at least
    one marked record."""
    found = [np.empty(0, np.int64)]
    for uri in files:
        table = parts.read_columns(uri)
        own = np.asarray(table["part"])
        start, end = np.searchsorted(own, [part, part + 1])
        found.append(np.asarray(table["row"])[start:end])
    return np.unique(np.concatenate(found))
