"""Draws the sample of vectors that k-means is fitted on: files of vectors in random order.

A vector is in the sample if the random key of its record is below a bound. The sample is split by
key into shards of about equal size, and a shard is sorted by key. So the sample and its order do
not depend on the parts of the corpus.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from clustering.kmeans import vectors
from clustering.kmeans.vectors import Units
from manifests import record, storage
from manifests.step import Corpus, Part, TaskResult, Workspace
from manifests.storage import parts

SHARD_ROWS = 1 << 16
"""The number of vectors in a shard of the sample (our choice); of 384 numbers they have 50 MB."""


class Counted(NamedTuple):
    """How many records have a usable vector, the vectors' width (0 if there are none), and how
    many records have no usable vector, by reason."""

    usable: int
    width: int
    unusable: dict[str, int]


class Column(NamedTuple):
    """The column of embeddings of a corpus, and the seed of the records' random keys."""

    corpus: Corpus
    name: str
    seed: int

    def read(self, part: Part) -> tuple[Units, np.ndarray]:
        """Returns the usable vectors of a part, and the random keys (uint64) of their records."""
        table = self.corpus.read(part, ("id", self.name))
        units = vectors.unit_vectors(table[self.name], self.name)
        return units, record.random_keys(table["id"], self.seed)[units.rows]


@dataclass(frozen=True)
class CountVectors:
    """A task: counts the usable vectors of a part."""

    column: Column

    def __call__(self, part: Part, folder: str) -> TaskResult:
        units, _ = self.column.read(part)
        width = units.vectors.shape[1] if len(units.rows) else 0
        detail = {"usable": len(units.rows), "width": width, "unusable": units.unusable}
        return TaskResult([], detail)


def count_vectors(column: Column, space: Workspace) -> Counted:
    """Counts the usable vectors of the corpus. Raises StepError if they have different widths."""
    _, commits = space.phase("vectors", CountVectors(column), column.corpus.parts)
    widths = {commit.detail["width"] for commit in commits} - {0}
    if len(widths) > 1:
        raise vectors.different_widths(sorted(widths), column.name)
    unusable: Counter[str] = Counter()
    for commit in commits:
        unusable.update(commit.detail["unusable"])
    usable = sum(commit.detail["usable"] for commit in commits)
    return Counted(usable, max(widths, default=0), dict(unusable))


class Shard(NamedTuple):
    """A range of the random keys of the sample, and its file: the task that sorts it."""

    number: int

    @property
    def name(self) -> str:
        return f"shard-{self.number:05d}"


class Sample(NamedTuple):
    """The files of a sample: (rows, width) unit vectors in float16, in order of the random keys."""

    folder: str
    rows: tuple[int, ...]
    width: int

    def uri(self, shard: int) -> str:
        return storage.join(self.folder, Shard(shard).name + ".arrow")

    def read(self, shard: int) -> np.ndarray:
        """Returns the vectors of a shard, (n, width) float16."""
        return vectors.matrix(parts.read_columns(self.uri(shard))["vector"], self.width)

    def first_distinct(self, count: int) -> np.ndarray:
        """Returns the first `count` different vectors of the sample, in order, as float32; fewer if
        the sample has fewer."""
        found: dict[bytes, None] = {}
        for shard in range(len(self.rows)):
            for vector in self.read(shard):
                found.setdefault(vector.tobytes())
                if len(found) == count:
                    break
            if len(found) == count:
                break
        flat = np.frombuffer(b"".join(found), np.float16)
        return flat.reshape(-1, self.width).astype(np.float32)


@dataclass(frozen=True)
class WriteSample:
    """A task: writes the vectors of a part that are in the sample, one record batch a shard.

    `limits` are the first key of each shard, then the end of the last shard: Python integers,
    because the end may be 2^64.
    """

    column: Column
    limits: tuple[int, ...]
    width: int

    def __call__(self, part: Part, folder: str) -> TaskResult:
        units, keys = self.column.read(part)
        order = np.argsort(keys)
        inner = np.searchsorted(keys[order], np.array(self.limits[:-1], np.uint64))
        last = self.limits[-1]
        end = len(keys) if last == 2**64 else np.searchsorted(keys[order], np.uint64(last))
        uri = storage.join(folder, part.name + ".arrow")
        schema = _schema(self.width)
        found = units.vectors.reshape(-1, self.width)
        with parts.writing(uri, schema, durable=False) as file:
            for start, stop in pairwise([*inner.tolist(), int(end)]):
                rows = order[start:stop]
                columns = [pa.array(keys[rows]), vectors.halves(found[rows])]
                file.write(pa.table(columns, schema=schema))
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
    total = 2**64 if size >= counted.usable else 2**64 * size // counted.usable
    shards = max(1, -(-min(size, counted.usable) // SHARD_ROWS))
    limits = tuple(total * number // shards for number in range(shards + 1))
    write = WriteSample(column, limits, counted.width)
    written, _ = space.phase("sample", write, column.corpus.parts)
    names = tuple(part.name for part in column.corpus.parts)
    sort = SortShard(written, names, counted.width)
    folder, commits = space.phase("shards", sort, list(map(Shard, range(shards))))
    return Sample(folder, tuple(commit.rows for commit in commits), counted.width)
