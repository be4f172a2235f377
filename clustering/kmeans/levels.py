"""Hierarchical k-means (Vo et al. 2024, arXiv 2405.15613, section 3): the clusters of a level are
clusters of the centroids of the level below."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from clustering.kmeans import lloyd, vectors
from clustering.kmeans.fit import write_table
from clustering.kmeans.model import Fitted, read_array, write_array
from clustering.kmeans.nearest import Centroids
from manifests import storage
from manifests.step import TaskResult, Workspace
from manifests.storage import parts


class Level(NamedTuple):
    """A level above the first. `centroids` (k, width) float32. `of_below` int32: for each cluster
    of the level below, the number of the cluster of this level that it is in."""

    centroids: np.ndarray
    of_below: np.ndarray


class Plan(NamedTuple):
    """The plan of a level, and the task that fits it. `number` of the level: 2 for the first level
    above the clusters of records. `clusters`: how many clusters the level gets. `nearest`: how many
    vectors of each cluster resampling takes."""

    number: int
    clusters: int
    nearest: int

    @property
    def name(self) -> str:
        return f"level-{self.number}"


@dataclass(frozen=True)
class FitLevel:
    """A task: fits a level on the centroids of the level below, which are all in memory.

    Resampling (Vo et al. 2024, section 3.3): of each cluster, only the vectors nearest to its
    centroid are taken, and new centroids are fitted on these vectors. So dense places do not get
    most centroids.
    """

    uri: str
    resamplings: int
    rounds: int
    seed: int

    def __call__(self, plan: Plan, folder: str) -> TaskResult:
        points = read_array(self.uri)
        seeds = [self.seed, plan.number]
        # In the order of the centroids, neighbours follow each other if they were fitted in cells.
        mixed = np.random.Generator(np.random.Philox(np.random.SeedSequence(seeds)))
        points = points[mixed.permutation(len(points))]
        centroids = lloyd.fit(points, plan.clusters, self.rounds, seeds).centroids
        for number in range(self.resamplings if plan.nearest > 1 else 0):
            chosen = points[nearest_members(points, centroids, plan.nearest)]
            if len(chosen) < plan.clusters:
                break
            again = [*seeds, number]
            centroids = lloyd.fit(chosen, plan.clusters, self.rounds, again).centroids
        table = pa.table({"vector": vectors.lists(centroids)})
        of_below, _ = Centroids(centroids).nearest(read_array(self.uri), 1)
        below = pa.table({"cluster": pa.array(of_below[:, 0])})
        entries = [
            write_table(folder, plan.name, table),
            write_table(folder, f"{plan.name}-below", below),
        ]
        return TaskResult(entries, {})


def nearest_members(points: np.ndarray, centroids: np.ndarray, count: int) -> np.ndarray:
    """Returns the positions, in ascending order, of the `count` points of each cluster that are
    nearest to its centroid. If a cluster has fewer points, all of them are taken."""
    clusters, cosines = Centroids(centroids).nearest(points, 1)
    order = np.lexsort((np.arange(len(points)), -cosines, clusters[:, 0]))
    own = clusters[order, 0]
    starts = np.searchsorted(own, own)
    return np.sort(order[np.arange(len(points)) - starts < count])


def fit_levels(
    fitted: Fitted, plans: list[Plan], resamplings: int, rounds: int, seed: int, space: Workspace
) -> list[Level]:
    """Fits the levels above the first, the lowest of them first. Each level is a phase."""
    levels: list[Level] = []
    below = fitted.centroids
    for plan in plans:
        uri = storage.join(space.scratch, f"below-{plan.name}.npy")
        write_array(uri, below)
        folder, commits = space.phase(plan.name, FitLevel(uri, resamplings, rounds, seed), [plan])
        own, of_below = (
            parts.read_columns(storage.join(folder, file.name)) for file in commits[0].files
        )
        below = vectors.matrix(own["vector"], below.shape[1])
        levels.append(Level(below, np.asarray(of_below["cluster"])))
    return levels
