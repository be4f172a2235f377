"""Fits k-means on the files of a sample, on the workers. Each round is a phase of several tasks; if
the sample has only one shard, one task does all rounds."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from clustering.kmeans import lloyd, vectors
from clustering.kmeans.lloyd import Sums
from clustering.kmeans.model import Fitted, Search
from clustering.kmeans.sample import Sample
from manifests import storage
from manifests.run.manifest import Commit
from manifests.step import TaskResult, Workspace
from manifests.storage import parts
from manifests.storage.file_entry import FileEntry

MAX_TASKS = 16
"""The largest number of tasks of a round (our choice). Each writes the sums of all clusters, so
that the files of a round have at most 64 bytes for each number of a centroid."""


class Shards(NamedTuple):
    """A task: the shards `first` to `end` - 1 of the sample."""

    first: int
    end: int

    @property
    def name(self) -> str:
        return f"shards-{self.first:05d}"


@dataclass(frozen=True)
class SumShards:
    """A task: assigns vectors of the sample to the centroids, and writes the sums of the clusters,
    rounded to float32."""

    sample: Sample
    search: Search

    def __call__(self, task: Shards, folder: str) -> TaskResult:
        centroids = self.search.open()
        found = Sums.nothing(*centroids.vectors.shape)
        for shard in range(task.first, task.end):
            found = lloyd.assign(self.sample.read(shard), centroids, found)
        sums = vectors.lists(found.sums.astype(np.float32))
        table = pa.table({"vector": sums, "count": pa.array(found.counts)})
        return TaskResult([write_table(folder, task.name, table)], {})


@dataclass(frozen=True)
class FitShard:
    """A task: fits the centroids of a sample that has one shard."""

    sample: Sample
    clusters: int
    rounds: int
    seed: int

    def __call__(self, task: Shards, folder: str) -> TaskResult:
        found = lloyd.fit(self.sample.read(0), self.clusters, self.rounds, [self.seed])
        columns = {"vector": vectors.lists(found.centroids), "count": pa.array(found.counts)}
        return TaskResult([write_table(folder, task.name, pa.table(columns))], {})


def fit_sample(
    sample: Sample, clusters: int, rounds: int, seed: int, space: Workspace, name: str = "rounds"
) -> Fitted:
    """Fits `clusters` centroids; fewer if the sample has fewer different vectors. The first
    centroids are the first different vectors of the sample. The names of the phases begin with
    `name`."""
    shards = len(sample.rows)
    if shards == 1:
        fit = FitShard(sample, clusters, rounds, seed)
        folder, commits = space.phase(name, fit, [Shards(0, 1)])
        return Fitted(*read_table(folder, commits[0], sample.width))
    centroids = sample.first_distinct(clusters)
    counts = np.zeros(len(centroids), np.int64)
    cuts = np.linspace(0, shards, min(shards, MAX_TASKS) + 1).astype(int).tolist()
    tasks = [Shards(first, end) for first, end in pairwise(cuts)]
    for number in range(rounds):
        title = f"{name}-{number:03d}"
        search = Search.over(Fitted(centroids, counts), storage.join(space.scratch, title))
        found = _added(*space.phase(title, SumShards(sample, search), tasks), centroids.shape)
        centroids, counts = lloyd.moved(found, centroids, [seed, number]), found.counts
    return Fitted(centroids, counts)


def _added(folder: str, commits: list[Commit], shape: tuple[int, ...]) -> Sums:
    """Adds the sums of all tasks of a round, in the order of the tasks."""
    total = Sums.nothing(*shape)
    for commit in commits:
        sums, counts = read_table(folder, commit, shape[1])
        total = total.plus(Sums(sums, counts))
    return total


def write_table(folder: str, name: str, table: pa.Table) -> FileEntry:
    """Writes the file of a task."""
    uri = storage.join(folder, name + ".arrow")
    return parts.write(uri, table.schema, [table], durable=False)


def read_table(folder: str, commit: Commit, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the vectors and the counts that a task wrote."""
    table = parts.read_columns(storage.join(folder, commit.files[0].name))
    return vectors.matrix(table["vector"], width), np.asarray(table["count"])
