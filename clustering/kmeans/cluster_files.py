"""The cluster files: the vectors of the records of each cluster, together on disk.

Rows of a cluster are in order of the random keys of their records, so a cluster has the same rows
in the same order for any partition of the corpus.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from clustering.kmeans import vectors
from clustering.kmeans.assign import read_bin, vector_schema
from clustering.kmeans.bins import Bin
from manifests import storage
from manifests.step import Part, TaskResult, Workspace
from manifests.storage import parts


class ClusterRows(NamedTuple):
    """Rows of one cluster, in order of the random keys of their records. `keys` (n,) uint64.
    `parts` and `rows` (n,) int32: the number of the part, and the row in it. `distance` (n,)
    float32: 1 - cosine to the centroid. `labels` (n,) uint64: hashes of labels, 0 without a label.
    `vectors` (n, width) float16, of unit length."""

    keys: np.ndarray
    parts: np.ndarray
    rows: np.ndarray
    distance: np.ndarray
    labels: np.ndarray
    vectors: np.ndarray


class ClusterFiles(NamedTuple):
    """The files of all clusters. `sizes` (k,) int64: the number of records of each cluster.
    `width`: the length of a vector."""

    folder: str
    bins: tuple[Bin, ...]
    sizes: np.ndarray
    width: int

    def read(self, cluster: int) -> ClusterRows:
        """Returns all rows of a cluster."""
        blocks = list(self.blocks(cluster))
        if len(blocks) == 1:
            return blocks[0]
        return ClusterRows(*(np.concatenate(columns) for columns in zip(*blocks, strict=True)))

    def blocks(self, cluster: int) -> Iterator[ClusterRows]:
        """Yields the rows of a cluster, one block for each bin that the cluster is in, in order. A
        block is about as large as a bin at most."""
        for one in self.bins:
            if one.first <= cluster < one.end:
                yield self.read_bin(one, cluster)

    def read_bin(self, one: Bin, cluster: int) -> ClusterRows:
        """Returns the rows of a cluster that are in a bin."""
        reader = parts.open_part(storage.join(self.folder, one.name + ".arrow"))
        batch = pa.table(reader.get_batch(cluster - one.first))
        keys, numbers, rows, distance, labels = (
            np.asarray(batch[name]) for name in ("key", "part", "row", "distance", "label")
        )
        own = vectors.matrix(batch["vector"], self.width)
        return ClusterRows(keys, numbers, rows, distance, labels, own)


@dataclass(frozen=True)
class GatherBin:
    """A task: collects the rows of a bin from all parts; writes a record batch for each cluster."""

    assigned: str
    parts: tuple[Part, ...]
    width: int

    def __call__(self, one: Bin, folder: str) -> TaskResult:
        table = self._gathered(one)
        clusters = np.asarray(table["cluster"])
        starts = np.searchsorted(clusters, np.arange(one.first, one.end + 1)).tolist()
        table = table.drop_columns("cluster")
        with parts.writing(
            storage.join(folder, one.name + ".arrow"), table.schema, durable=False
        ) as file:
            for start, end in pairwise(starts):
                file.write(table.slice(start, end - start))
        return TaskResult([file.entry], {"sizes": np.diff(starts).tolist()})

    def _gathered(self, one: Bin) -> pa.Table:
        """Returns the rows of a bin, sorted by cluster, then by random key."""
        tables = []
        for part in self.parts:
            table = read_bin(self.assigned, part, one.number)
            number = pa.array(np.full(table.num_rows, part.number, np.int32))
            tables.append(table.append_column("part", number))
        schema = vector_schema(self.width).append(pa.field("part", pa.int32()))
        table = pa.concat_tables([schema.empty_table(), *tables]).combine_chunks()
        label = table["label"].fill_null(0)
        table = table.set_column(table.schema.get_field_index("label"), "label", label)
        order = np.lexsort((np.asarray(table["key"]), np.asarray(table["cluster"])))
        return table.take(pa.array(order)).combine_chunks()


def gather_clusters(
    assigned: str, corpus_parts: tuple[Part, ...], bins: tuple[Bin, ...], width: int,
    clusters: int, space: Workspace, name: str = "clusters",
) -> ClusterFiles:  # fmt: skip
    """Writes the cluster files from the files of vectors in the folder `assigned`. `name` is the
    name of the phase."""
    gather = GatherBin(assigned, corpus_parts, width)
    folder, commits = space.phase(name, gather, bins)
    sizes = np.zeros(clusters, np.int64)
    for one, commit in zip(bins, commits, strict=True):
        sizes[one.first : one.end] += np.array(commit.detail["sizes"], np.int64)
    return ClusterFiles(folder, bins, sizes, width)
