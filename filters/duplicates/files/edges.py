"""Pairs of duplicates: in memory as arrays, on disk as files of three columns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from manifests import storage
from manifests.run.manifest import Commit
from manifests.storage import parts
from manifests.storage.file_entry import FileEntry

SCHEMA = pa.schema([("a", pa.uint64()), ("b", pa.uint64()), ("similarity", pa.float32())])


class Edges(NamedTuple):
    """Pairs of duplicates, as ids of units (records or images), and the similarity of each pair.
    `a` and `b` are (n,) uint64, with a[i] < b[i]. `similarity` is (n,) float32."""

    a: np.ndarray
    b: np.ndarray
    similarity: np.ndarray

    @classmethod
    def between(cls, first: np.ndarray, second: np.ndarray, similarity: np.ndarray) -> Edges:
        """Makes an Edges object from pairs whose two ids may be in any order: between([7, 1], [2,
        5], s) has a = [2, 1], b = [7, 5]."""
        a, b = np.minimum(first, second), np.maximum(first, second)
        return cls(a, b, similarity.astype(np.float32))

    @classmethod
    def joined(cls, several: Iterable[Edges]) -> Edges:
        found = list(several)
        if not found:
            return cls(np.empty(0, np.uint64), np.empty(0, np.uint64), np.empty(0, np.float32))
        return cls(*(np.concatenate(columns) for columns in zip(*found, strict=True)))

    def take(self, rows: np.ndarray) -> Edges:
        """Returns the pairs that `rows` selects, either by their positions or by a bool mask."""
        return Edges(self.a[rows], self.b[rows], self.similarity[rows])

    def distinct(self) -> Edges:
        """Returns the pairs sorted by `a`, then `b`, each pair only once."""
        order = np.lexsort((self.b, self.a))
        sorted_ = self.take(order)
        first = np.ones(len(order), bool)
        first[1:] = (sorted_.a[1:] != sorted_.a[:-1]) | (sorted_.b[1:] != sorted_.b[:-1])
        return sorted_.take(first)


def write(uri: str, edges: Edges) -> FileEntry:
    table = to_table(edges)
    return parts.write(uri, SCHEMA, [table], durable=False)


def read(folder: str, commits: Iterable[Commit]) -> Iterable[Edges]:
    """Yields the pairs of each file that a phase wrote to `folder`. `commits` lists the files that
    the tasks of the phase wrote."""
    for commit in commits:
        for entry in commit.files:
            yield from_table(parts.read_columns(storage.join(folder, entry.name)))


def to_table(edges: Edges) -> pa.Table:
    return pa.table([pa.array(column) for column in edges], schema=SCHEMA)


def from_table(table: pa.Table) -> Edges:
    return Edges(*(np.asarray(table[name]) for name in SCHEMA.names))
