"""Assigns the records of each part to their nearest clusters."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from clustering.kmeans import vectors
from clustering.kmeans.bins import Bin, bin_numbers
from clustering.kmeans.column import Source
from clustering.kmeans.model import Search
from manifests import storage
from manifests.step import Part, TaskResult
from manifests.storage import parts
from manifests.storage.file_entry import FileEntry

ROWS, VECTORS = ".rows.arrow", ".vectors.arrow"
"""The endings of the names of files with the clusters of each row of a part, and with the vectors
of a part, one record batch for each bin."""


def vector_schema(width: int) -> pa.Schema:
    """Returns the schema of files of vectors, sorted by bin or by cluster."""
    return pa.schema(
        [
            ("cluster", pa.int32()),
            ("key", pa.uint64()),
            ("row", pa.int32()),
            ("distance", pa.float32()),
            ("label", pa.uint64()),
            ("vector", pa.list_(pa.float16(), width)),
        ]
    )


class Nearest(NamedTuple):
    """The nearest clusters of each row of a part, the nearest first: (rows, 2) int32, or (rows, 1)
    if there is one cluster; -1 for a row without a usable vector. `distance` (rows,) float32: 1 -
    cosine of the vector and the nearest centroid."""

    clusters: np.ndarray
    distance: np.ndarray

    @classmethod
    def nothing(cls, rows: int, count: int) -> Nearest:
        """Returns the value for rows that all have no vector: each cluster is -1."""
        return cls(np.full((rows, count), -1, np.int32), np.full(rows, np.nan, np.float32))

    def write(self, folder: str, part: Part) -> FileEntry:
        clusters, distance = vectors.lists(self.clusters), pa.array(self.distance)
        table = pa.table({"clusters": clusters, "distance": distance})
        return parts.write(_uri(folder, part, ROWS), table.schema, [table], durable=False)

    @classmethod
    def read(cls, folder: str, part: Part) -> Nearest:
        table = parts.read_columns(_uri(folder, part, ROWS))
        count = table.schema.field("clusters").type.list_size
        return cls(vectors.matrix(table["clusters"], count), np.asarray(table["distance"]))


@dataclass(frozen=True)
class AssignPart:
    """A task: finds the two nearest clusters of each record of a part. Writes these clusters, and
    the vectors, sorted by bin."""

    source: Source
    search: Search
    bins: tuple[Bin, ...]

    def __call__(self, part: Part, folder: str) -> TaskResult:
        centroids = self.search.open()
        rows, found, keys, labels = self.source.read_part(part)
        found = found.reshape(-1, centroids.vectors.shape[1])
        clusters, cosines = centroids.nearest(found, min(2, len(centroids)))
        distance = np.maximum(np.float32(1) - cosines, np.float32(0))
        bins = bin_numbers(self.bins, clusters[:, 0], keys)
        order = np.argsort(bins, kind="stable")
        columns = [
            pa.array(np.ascontiguousarray(clusters[order, 0])), pa.array(keys[order]),
            pa.array(rows[order].astype(np.int32)), pa.array(distance[order]),
            labels.take(pa.array(order)), vectors.halves(found[order]),
        ]  # fmt: skip
        table = pa.table(columns, schema=vector_schema(found.shape[1]))
        starts = np.searchsorted(bins[order], np.arange(len(self.bins) + 1)).tolist()
        nearest = Nearest.nothing(part.rows, clusters.shape[1])
        nearest.clusters[rows], nearest.distance[rows] = clusters, distance
        return TaskResult([nearest.write(folder, part), _write(folder, part, table, starts)], {})


def _write(folder: str, part: Part, table: pa.Table, starts: list[int]) -> FileEntry:
    with parts.writing(_uri(folder, part, VECTORS), table.schema, durable=False) as file:
        for start, end in pairwise(starts):
            file.write(table.slice(start, end - start))
    return file.entry


def _uri(folder: str, part: Part, ending: str) -> str:
    return storage.join(folder, part.name + ending)


def read_bin(folder: str, part: Part, number: int) -> pa.Table:
    """Returns the vectors of a part that are in a bin."""
    return pa.table(parts.open_part(_uri(folder, part, VECTORS)).get_batch(number))
