"""Fits k-means on the files of a sample: one phase a round, its tasks on the workers."""

from __future__ import annotations

import io
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from clustering.kmeans import lloyd, vectors
from clustering.kmeans.lloyd import Sums
from clustering.kmeans.nearest import Centroids
from clustering.kmeans.sample import Sample
from manifests import storage
from manifests.run.manifest import Commit
from manifests.step import TaskResult, Workspace
from manifests.storage import parts

MAX_TASKS = 16
"""The largest number of tasks of a round (our choice). Each writes the sums of all clusters, so
that the files of a round have at most 64 bytes for each number of a centroid."""


class Shards(NamedTuple):
    """A task of a round: the shards `first` to `end` - 1 of the sample."""

    first: int
    end: int

    @property
    def name(self) -> str:
        return f"sums-{self.first:05d}"


@dataclass(frozen=True)
class SumShards:
    """A task: assigns vectors of the sample to the centroids, and writes the sums of the clusters.

    The sums are rounded to float32.
    """

    sample: Sample
    centroids_uri: str

    def __call__(self, task: Shards, folder: str) -> TaskResult:
        centroids = Centroids(read_matrix(self.centroids_uri))
        found = Sums.nothing(*centroids.vectors.shape)
        for shard in range(task.first, task.end):
            found = lloyd.assign(self.sample.read(shard), centroids, found)
        flat = pa.array(found.sums.astype(np.float32).reshape(-1))
        sums = pa.FixedSizeListArray.from_arrays(flat, found.sums.shape[1])
        table = pa.table({"sum": sums, "count": pa.array(found.counts)})
        uri = storage.join(folder, task.name + ".arrow")
        entry = parts.write(uri, table.schema, [table], durable=False)
        return TaskResult([entry], {"cosines": found.cosines})


class Fitted(NamedTuple):
    """Centroids (k, width) float32 of unit length, and how many vectors of the sample each had in
    the last round, (k,) int64."""

    centroids: np.ndarray
    counts: np.ndarray


def fit_sample(sample: Sample, clusters: int, rounds: int, seed: int, space: Workspace) -> Fitted:
    """Fits `clusters` centroids; fewer if the sample has fewer different vectors. The first
    centroids are the first different vectors of the sample."""
    centroids = sample.first_distinct(clusters)
    counts = np.zeros(len(centroids), np.int64)
    shards = len(sample.rows)
    cuts = np.linspace(0, shards, min(shards, MAX_TASKS) + 1).astype(int).tolist()
    tasks = [Shards(first, end) for first, end in pairwise(cuts)]
    for number in range(rounds):
        uri = storage.join(space.scratch, f"centroids-{number:03d}.npy")
        write_matrix(uri, centroids)
        folder, commits = space.phase(f"round-{number:03d}", SumShards(sample, uri), tasks)
        found = _added(folder, commits, centroids.shape)
        centroids, counts = lloyd.moved(found, centroids, seed + number), found.counts
    return Fitted(centroids, counts)


def _added(folder: str, commits: list[Commit], shape: tuple[int, ...]) -> Sums:
    """Adds the sums of all tasks of a round, in the order of the tasks."""
    total = Sums.nothing(*shape)
    for commit in commits:
        table = parts.read_columns(storage.join(folder, commit.files[0].name))
        sums = vectors.matrix(table["sum"], shape[1])
        total = total.plus(Sums(sums, np.asarray(table["count"]), commit.detail["cosines"]))
    return total


def write_matrix(uri: str, matrix: np.ndarray) -> None:
    """Writes an array that tasks read; it is made again after a restart."""
    file = io.BytesIO()
    np.save(file, matrix, allow_pickle=False)
    storage.write_bytes(uri, file.getvalue(), durable=False)


def read_matrix(uri: str) -> np.ndarray:
    matrix: np.ndarray = np.load(io.BytesIO(storage.read_bytes(uri)), allow_pickle=False)
    return matrix
