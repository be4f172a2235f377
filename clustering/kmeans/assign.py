"""Assigns the records of each part to their nearest clusters."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import xxhash

from clustering.kmeans import vectors
from clustering.kmeans.bins import Bin, bin_numbers
from clustering.kmeans.fit import read_matrix
from clustering.kmeans.nearest import Centroids
from clustering.kmeans.sample import Column
from manifests import storage
from manifests.errors import StepError
from manifests.record import one_chunk
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
    """The nearest clusters of each row of a part, in order: (rows, 2) int32, or (rows, 1) if there
    is one cluster; -1 for a row without a usable vector. `distance` (rows,) float32: 1 - cosine."""

    clusters: np.ndarray
    distance: np.ndarray

    @classmethod
    def nothing(cls, rows: int, count: int) -> Nearest:
        """Returns the clusters of rows without vectors."""
        return cls(np.full((rows, count), -1, np.int32), np.full(rows, np.nan, np.float32))

    def write(self, folder: str, part: Part) -> FileEntry:
        flat = pa.array(self.clusters.reshape(-1))
        lists = pa.FixedSizeListArray.from_arrays(flat, self.clusters.shape[1])
        table = pa.table({"clusters": lists, "distance": pa.array(self.distance)})
        return parts.write(_uri(folder, part, ROWS), table.schema, [table], durable=False)

    @classmethod
    def read(cls, folder: str, part: Part) -> Nearest:
        table = parts.read_columns(_uri(folder, part, ROWS))
        count = table.schema.field("clusters").type.list_size
        return cls(vectors.matrix(table["clusters"], count), np.asarray(table["distance"]))


@dataclass(frozen=True)
class AssignPart:
    """A task: finds the two nearest clusters of the records of a part, and writes them, and the
    vectors by bin. `labels`: a column of labels, for the purity of clusters."""

    column: Column
    centroids_uri: str
    bins: tuple[Bin, ...]
    labels: str | None

    def __call__(self, part: Part, folder: str) -> TaskResult:
        centroids = Centroids(read_matrix(self.centroids_uri))
        units, keys = self.column.read(part)
        found = units.vectors.reshape(-1, centroids.vectors.shape[1])
        clusters, cosines = centroids.nearest(found, min(2, len(centroids.vectors)))
        distance = np.maximum(np.float32(1) - cosines[:, 0], np.float32(0))
        bins = bin_numbers(self.bins, clusters[:, 0], keys)
        order = np.argsort(bins, kind="stable")
        rows = units.rows[order]
        columns = [
            pa.array(np.ascontiguousarray(clusters[order, 0])), pa.array(keys[order]),
            pa.array(rows.astype(np.int32)), pa.array(distance[order]),
            self._labels(part).take(pa.array(rows)), vectors.halves(found[order]),
        ]  # fmt: skip
        table = pa.table(columns, schema=vector_schema(found.shape[1]))
        starts = np.searchsorted(bins[order], np.arange(len(self.bins) + 1)).tolist()
        nearest = Nearest.nothing(part.rows, clusters.shape[1])
        nearest.clusters[units.rows], nearest.distance[units.rows] = clusters, distance
        return TaskResult([nearest.write(folder, part), _write(folder, part, table, starts)], {})

    def _labels(self, part: Part) -> pa.Array:
        """Returns a hash of the label of each row of a part; null without a label."""
        if self.labels is None:
            return pa.nulls(part.rows, pa.uint64())
        column = one_chunk(self.column.corpus.read(part, (self.labels,))[self.labels])
        if pa.types.is_nested(column.type):
            raise StepError(
                f"the labels are of type {column.type}", f"column '{self.labels}'",
                "Name a column with one text or number for each record.",
            )  # fmt: skip
        coded = column.cast(pa.string()).dictionary_encode()
        texts = coded.dictionary.to_pylist()  # a loop over different labels, not over rows
        hashes = pa.array([xxhash.xxh3_64_intdigest(text) for text in texts], pa.uint64())
        return hashes.take(coded.indices)


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
