"""Draws the sample of vectors that k-means is fitted on: files of vectors in random order.

A vector is in the sample if the random key of its record is below a bound. The sample is split by
key into shards of about equal size, and a shard is sorted by key. So the sample and its order do
not depend on the parts of the corpus.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from clustering.kmeans import vectors
from clustering.kmeans.column import Column, Counted, Keyed
from manifests import record, storage
from manifests.step import Part, TaskResult, Workspace
from manifests.storage import parts

SHARD_ROWS = 1 << 16
"""The number of vectors in a shard of the sample (our choice); of 384 numbers they have 50 MB."""


class Shard(NamedTuple):
    """A shard of the sample: the vectors of a range of random keys, in one file. It is also the
    task that sorts these vectors."""

    number: int

    @property
    def name(self) -> str:
        return f"shard-{self.number:05d}"


class Sample(NamedTuple):
    """The files of a sample: (rows, width) unit vectors in float16, in order of the random keys.
    `rows`: the number of vectors of each shard."""

    folder: str
    rows: tuple[int, ...]
    width: int

    @property
    def parts(self) -> tuple[Part, ...]:
        """The shards as parts, for tasks that read parts."""
        return tuple(Part(n, Shard(n).name, rows) for n, rows in enumerate(self.rows))

    def read(self, shard: int) -> np.ndarray:
        """Returns the vectors of a shard, (n, width) float16."""
        uri = storage.join(self.folder, Shard(shard).name + ".arrow")
        return vectors.matrix(parts.read_columns(uri)["vector"], self.width)

    def read_part(self, part: Part) -> Keyed:
        """Returns the vectors of a shard. Their keys are their positions in the sample, spread over
        all 64-bit numbers."""
        own = self.read(part.number).astype(np.float32)
        first = sum(self.rows[: part.number])
        step = 2**64 // max(1, sum(self.rows))
        keys = np.arange(first, first + len(own), dtype=np.uint64) * np.uint64(step)
        return Keyed(np.arange(len(own)), own, keys, pa.nulls(len(own), pa.uint64()))

    def first(self, count: int) -> Sample:
        """Returns the first shards of the sample: as few as have at least `count` vectors together,
        or all shards."""
        enough = int(np.searchsorted(np.cumsum(self.rows), count)) + 1
        return self._replace(rows=self.rows[:enough])

    def first_distinct(self, count: int) -> np.ndarray:
        """Returns the first `count` different vectors of the sample, in order, as float32; fewer if
        the sample has fewer."""
        found = np.zeros((0, self.width), np.float16)
        for shard in range(len(self.rows)):
            more = self.read(shard)
            if len(more) > count:  # mostly different: the first ones are enough
                more = more[vectors.distinct(more, count)]
            found = np.concatenate([found, more])
            found = found[vectors.distinct(found, count)]
            if len(found) == count:
                break
        return found.astype(np.float32)


@dataclass(frozen=True)
class WriteSample:
    """A task: writes the vectors of a part that are in the sample, in one record batch for each
    shard.

    `limits` are the first key of each shard, then the end of the last shard: Python integers,
    because the end may be 2^64.
    """

    column: Column
    limits: tuple[int, ...]
    width: int

    def __call__(self, part: Part, folder: str) -> TaskResult:
        keyed = self.column.read_part(part)
        order = np.argsort(keyed.keys)
        keys, last = keyed.keys[order], self.limits[-1]
        starts = np.searchsorted(keys, np.array(self.limits[:-1], np.uint64)).tolist()
        end = len(keys) if last == 2**64 else int(np.searchsorted(keys, np.uint64(last)))
        uri = storage.join(folder, part.name + ".arrow")
        schema = _schema(self.width)
        found = keyed.vectors.reshape(-1, self.width)
        with parts.writing(uri, schema, durable=False) as file:
            for start, stop in pairwise([*starts, end]):
                own = vectors.halves(found[order[start:stop]])
                file.write(pa.table([pa.array(keys[start:stop]), own], schema=schema))
        return TaskResult([file.entry], {})


def _schema(width: int) -> pa.Schema:
    return pa.schema([("key", pa.uint64()), ("vector", pa.list_(pa.float16(), width))])


@dataclass(frozen=True)
class SortShard:
    """A task: collects the vectors of a shard from the files of all parts, sorted by key."""

    folder: str
    names: tuple[str, ...]
    width: int

    def __call__(self, shard: Shard, folder: str) -> TaskResult:
        table = pa.concat_tables(self._tables(shard.number)).combine_chunks()
        table = table.sort_by("key").select(["vector"])
        uri = storage.join(folder, shard.name + ".arrow")
        return TaskResult([parts.write(uri, table.schema, [table], durable=False)], {})

    def _tables(self, number: int) -> Iterator[pa.Table]:
        yield _schema(self.width).empty_table()
        for name in self.names:
            batch = parts.open_part(storage.join(self.folder, name + ".arrow")).get_batch(number)
            if batch.num_rows:
                yield pa.table(batch)


def draw_sample(column: Column, counted: Counted, size: int, space: Workspace) -> Sample:
    """Writes a random sample of about `size` vectors; all vectors if the corpus has no more."""
    total = record.key_limit(size, counted.usable)
    shards = max(1, -(-min(size, counted.usable) // SHARD_ROWS))
    limits = tuple(total * number // shards for number in range(shards + 1))
    write = WriteSample(column, limits, counted.width)
    written, _ = space.phase("sample", write, column.corpus.parts)
    names = tuple(part.name for part in column.corpus.parts)
    sort = SortShard(written, names, counted.width)
    folder, commits = space.phase("shards", sort, list(map(Shard, range(shards))))
    return Sample(folder, tuple(commit.rows for commit in commits), counted.width)
