"""How good clusters are: inertia, sizes, silhouette, and purity of labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from clustering.kmeans import vectors
from clustering.kmeans.bins import Bin
from clustering.kmeans.cluster_files import ClusterFiles
from clustering.kmeans.fit import write_table
from manifests import record, storage
from manifests.step import TaskResult, Workspace
from manifests.storage import parts

SILHOUETTES = 10_000
"""About how many records the silhouette is computed for (our choice)."""
_BLOCK_BYTES = 64 << 20
"""The size of the distances that are in memory at a time (our choice)."""
_SAMPLED = "-sampled"
"""The end of the names of the files of sampled records."""


class Quality(NamedTuple):
    """`distances` (k,) float64: the mean distance of each cluster's records to its centroid, nan
    for an empty cluster. `inertia`: the sum over all records of the squared Euclidean distance of
    unit vector and centroid, computed as 2 (1 - cosine). `silhouette`: the mean silhouette
    (Rousseeuw 1987) of sampled records, with the distance 1 - cosine; None if there is only one
    cluster. `purity`: the share of records whose label is the most frequent label of their cluster,
    among all records with a label; None if there are no labels."""

    distances: np.ndarray
    inertia: float
    silhouette: float | None
    purity: float | None


@dataclass(frozen=True)
class DescribeBin:
    """A task: for each cluster of a bin, writes the sum of its vectors, the sum of its distances,
    and the vectors of its sampled records. A record is sampled if its random key is below
    `bound`."""

    files: ClusterFiles
    bound: int

    def __call__(self, one: Bin, folder: str) -> TaskResult:
        clusters = range(one.first, one.end)
        found = [self._described(cluster) for cluster in clusters]
        numbers = np.repeat(list(clusters), [len(own.sampled) for own in found])
        columns = {
            "sum": vectors.lists(np.stack([own.vectors for own in found])),
            "distance": pa.array([own.distances for own in found], pa.float64()),
        }
        sampled = {
            "cluster": pa.array(numbers),
            "vector": vectors.lists(np.concatenate([own.sampled for own in found])),
        }
        entries = [
            write_table(folder, one.name, pa.table(columns)),
            write_table(folder, one.name + _SAMPLED, pa.table(sampled)),
        ]
        labelled, frequent = sum(own.labelled for own in found), sum(own.frequent for own in found)
        return TaskResult(entries, {"labelled": labelled, "frequent": frequent})

    def _described(self, cluster: int) -> _Described:
        total, distances = np.zeros(self.files.width), 0.0
        labels, sampled = [], []
        for rows in self.files.blocks(cluster):
            total += rows.vectors.sum(axis=0, dtype=np.float64)
            distances += float(rows.distance.sum(dtype=np.float64))
            labels.append(rows.labels[rows.labels > 0])
            end = np.searchsorted(rows.keys, np.uint64(min(self.bound, 2**64 - 1)))
            sampled.append(rows.vectors[:end])
        _, counts = np.unique(np.concatenate(labels), return_counts=True)
        most = int(max(counts, default=0))
        return _Described(total, distances, np.concatenate(sampled), int(counts.sum()), most)


class _Described(NamedTuple):
    """One cluster: the sum of its vectors, the sum of its distances, the vectors of its sampled
    records, how many of its records have a label, and how often its most frequent label occurs."""

    vectors: np.ndarray
    distances: float
    sampled: np.ndarray
    labelled: int
    frequent: int


def measure_quality(files: ClusterFiles, space: Workspace) -> Quality:
    """Measures the quality of clusters by their files."""
    bound = record.key_limit(SILHOUETTES, int(files.sizes.sum()))
    firsts = [one for one in files.bins if one.slice == 0]
    folder, commits = space.phase("quality", DescribeBin(files, bound), firsts)
    sums, distances = np.zeros((len(files.sizes), files.width)), np.zeros(len(files.sizes))
    for one in firsts:
        table = parts.read_columns(storage.join(folder, one.name + ".arrow"))
        sums[one.first : one.end] = vectors.matrix(table["sum"], files.width)
        distances[one.first : one.end] = np.asarray(table["distance"])
    silhouettes: list[np.ndarray] = []
    for one in firsts:
        sample = parts.read_columns(storage.join(folder, one.name + _SAMPLED + ".arrow"))
        own = vectors.matrix(sample["vector"], files.width)
        silhouettes += silhouette(own, np.asarray(sample["cluster"]), sums, files.sizes)
    found = np.concatenate(silhouettes) if silhouettes else np.zeros(0)
    labelled, frequent = (
        sum(commit.detail[name] for commit in commits) for name in ("labelled", "frequent")
    )
    means = np.divide(
        distances, files.sizes, np.full(len(distances), np.nan), where=files.sizes > 0
    )
    return Quality(
        means,
        round(2 * float(distances.sum()), 3),
        round(float(found.mean()), 4) if len(found) and (files.sizes > 0).sum() > 1 else None,
        round(frequent / labelled, 4) if labelled else None,
    )


def silhouette(
    rows: np.ndarray, clusters: np.ndarray, sums: np.ndarray, sizes: np.ndarray
) -> list[np.ndarray]:
    """Returns the silhouettes of records (n, width), in blocks of (rows,) float64.

    The mean of 1 - cosine of a record and all records of a cluster is 1 - the product of its vector
    and the mean of their unit vectors. So each silhouette is exact: it counts all records of the
    corpus.
    """
    full = np.flatnonzero(sizes > 0)
    means = (sums[full] / sizes[full, None]).T
    places = np.searchsorted(full, clusters)
    step = max(1, _BLOCK_BYTES // (8 * max(1, len(full))))
    found = []
    for start in range(0, len(rows) if len(full) > 1 else 0, step):
        own = rows[start : start + step].astype(np.float64)
        distance = 1 - own @ means
        at, line = places[start : start + step], np.arange(len(own))
        size = sizes[full[at]]
        others = np.maximum(size - 1, 1)
        itself = 1 - np.einsum("ij,ij->i", own, own)
        inside = (distance[line, at] * size - itself) / others
        distance[line, at] = np.inf
        outside = distance.min(axis=1)
        value = (outside - inside) / np.maximum(np.maximum(inside, outside), 1e-12)
        found.append(np.where(size > 1, value, 0.0))
    return found
