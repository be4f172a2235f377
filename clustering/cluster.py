"""The step `cluster`: k-means over the embeddings of all records."""

from __future__ import annotations

from itertools import pairwise
from math import isqrt
from typing import Annotated, ClassVar, NamedTuple

import numpy as np
import pyarrow as pa
from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from clustering.density import Density, density_of_part, measure_density
from clustering.kmeans.assign import AssignPart, Nearest
from clustering.kmeans.bins import plan_bins
from clustering.kmeans.cells import fit_in_cells
from clustering.kmeans.cluster_files import ClusterFiles, gather_clusters
from clustering.kmeans.column import Column, Counted, count_vectors
from clustering.kmeans.fit import fit_sample
from clustering.kmeans.levels import Plan, fit_levels
from clustering.kmeans.model import Fitted, Search
from clustering.kmeans.quality import measure_quality
from clustering.kmeans.sample import draw_sample
from clustering.kmeans.table import ENDING, ClusterTable, cluster_table, read_table, write_table
from manifests import storage
from manifests.step import Context, Corpus, CorpusStep, Outcome, Workspace
from manifests.step.bounds import Share

_FEW_RECORDS = 4
"""If clusters have fewer records than this on average, a note states it (our choice)."""
_ROW_BYTES = 28
"""The bytes of a row in a cluster file beside its vector."""


class Fit(NamedTuple):
    """What the method `fit` of the step returns. `assigned`: the folder of the clusters of each
    part; "" if no record has a vector. `table`: the file of the table of clusters. `kept`: the
    folder in which the table is kept. `of_below`: for each level above the first, the clusters of
    the level below. `density`: where the densities are; None if they are not measured."""

    assigned: str
    table: str
    kept: str
    of_below: tuple[np.ndarray, ...]
    density: Density | None = None


class Cluster(CorpusStep):
    """Group records by their embeddings into `k` clusters of similar records.

    Spherical k-means (Dhillon and Modha 2001) over the directions of the vectors: the lengths of
    the vectors do not matter. It is fitted on a random sample of the corpus, `sample` vectors for
    each cluster; then all records are assigned. `id` is the number of the nearest cluster,
    `distance` is 1 - cosine of the vector and the centroid of this cluster, and `nearest` lists the
    two nearest clusters. `duplicates: {by: semantic, clusters: cluster.nearest}` compares records
    that have one of the two in common.

    `levels` instead of `k` makes hierarchical clusters (Vo et al. 2024, arXiv 2405.15613): the
    clusters of a level are clusters of the centroids of the level below, so that frequent concepts
    get fewer of the higher clusters. `path` lists the clusters of a record from the highest level
    to `id`. With `cells`, for very many clusters, the lowest level is fitted in two steps: first
    the cells, then the clusters in each cell. The clusters of a vector are then searched only in
    its `probe` nearest cells.

    `density` is the mean cosine of the record and its `neighbours` nearest records. `sparsity` is 1
    minus the cosine of the record and the farthest of these neighbours: it is large if fewer than
    `neighbours` other records are like this one. `sparse` is true for the records of the highest
    sparsity; `sparse_share` is their share of all records in clusters. If the sparsity of two
    records is equal, the hashes of their ids decide. Neighbours are searched in the record's
    cluster and the clusters around it. Near duplicates count as neighbours, so remove them first.

    A record without a vector, or whose vector is all zeros or has NaN or an infinite number, is in
    no cluster: its measures are null. If the sample has fewer different vectors than `k`, there are
    fewer clusters. This step drops no record.

        - embed: {on: image}
        - cluster: {of: embed.vector, k: 1000}
        - cluster: {of: embed.vector, levels: [10000, 1000, 100]}
    """

    uses_seed: ClassVar[bool] = True

    of: str = Field("embed.vector", description="the column that has the embeddings")
    k: PositiveInt = Field(1000, description="number of clusters")
    levels: tuple[PositiveInt, ...] = Field(
        (), description="number of clusters of each level, the lowest first, instead of k"
    )
    cells: PositiveInt | None = Field(
        None, description="number of cells that the lowest level is fitted in (null: no cells)"
    )
    probe: Annotated[int, Field(ge=2)] = Field(
        8, description="with cells: number of nearest cells in which clusters are searched"
    )
    sample: PositiveInt = Field(
        256, description="vectors in the sample for each cluster (256: the default of faiss)"
    )
    rounds: PositiveInt = Field(
        25, description="rounds of k-means over the sample (25: the default of faiss)"
    )
    resample: tuple[PositiveInt, ...] = Field(
        (1, 10, 5, 3),
        description="levels: for each level, how many vectors nearest to each centroid are "
        "clustered again; 1: no resampling (published for four levels)",
    )
    resamplings: NonNegativeInt = Field(
        10, description="levels: how often a level is resampled (10: published)"
    )
    neighbours: NonNegativeInt = Field(
        10, description="nearest records by which density is measured; 0: it is not measured"
    )
    sparse_share: Share = Field(0.1, description="share of the records that are sparse")
    labels: str | None = Field(
        None, description="a column of labels; the purity of the clusters is measured by it"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Cluster:
        if self.levels and "k" in self.model_fields_set:
            raise ValueError("k and levels are both set: remove one of them")
        if any(low <= high for low, high in pairwise(self.levels)):
            raise ValueError(
                f"levels is {list(self.levels)}, but each level must have fewer clusters than the "
                "one before: the lowest level comes first"
            )
        if len(self.levels) > len(self.resample):
            raise ValueError(
                f"levels has {len(self.levels)} numbers and resample only {len(self.resample)}: "
                "write a number for each level"
            )
        if self.cells is not None and self.cells >= self._clusters:
            raise ValueError(
                f"cells is {self.cells}, which must be less than the number of clusters, "
                f"{self._clusters}; a common choice is the square root of the number of clusters"
            )
        return self

    @property
    def _clusters(self) -> int:
        """The number of clusters of the lowest level."""
        return self.levels[0] if self.levels else self.k

    def reads(self) -> tuple[str, ...]:
        return ("id", self.of) if self.labels is None else ("id", self.of, self.labels)

    def measures(self) -> dict[str, pa.DataType]:
        numbers = pa.list_(pa.int32())
        found = {"id": pa.int32(), "distance": pa.float32(), "nearest": numbers}
        if self.neighbours:
            found |= {"density": pa.float32(), "sparsity": pa.float32(), "sparse": pa.bool_()}
        return {**found, "path": numbers} if len(self.levels) > 1 else found

    def fit(self, corpus: Corpus, workspace: Workspace, seed: int) -> Fit:
        column = Column(corpus, self.of, seed, self.labels)
        counted = count_vectors(column, workspace)
        if without := counted.missing + counted.unusable:
            workspace.note(
                f"{without:,} records are in no cluster: {counted.missing:,} without a vector, "
                f"{counted.unusable:,} with a vector that is all zeros or not finite"
            )
        if not counted.usable:
            return Fit("", "", workspace.kept, ())
        if counted.usable < _FEW_RECORDS * self._clusters:
            workspace.note(
                f"{self._clusters:,} clusters are many for {counted.usable:,} records: similar "
                "records will be in different clusters. The square root of the number of records, "
                f"{isqrt(counted.usable):,}, is a common choice"
            )
        fitted = self._fitted(column, counted, seed, workspace)
        plans = [
            Plan(number + 2, clusters, self.resample[number + 1])
            for number, clusters in enumerate(self.levels[1:])
        ]
        levels = fit_levels(fitted, plans, self.resamplings, self.rounds, seed, workspace)
        assigned, files = self._assigned(column, counted, fitted, workspace)
        quality = measure_quality(files, workspace)
        table = cluster_table(fitted.centroids, levels, files.sizes, quality)
        workspace.note(_summary(table))
        uri = storage.join(workspace.scratch, "table.arrow")
        write_table(uri, table, durable=False)
        density = self._density(files, fitted, workspace)
        of_below = tuple(level.of_below for level in levels)
        return Fit(assigned, uri, workspace.kept, of_below, density)

    def _fitted(self, column: Column, counted: Counted, seed: int, space: Workspace) -> Fitted:
        """Fits the centroids of the lowest level."""
        clusters = self._clusters
        sample = draw_sample(column, counted, self.sample * clusters, space)
        if self.cells is None:
            fitted = fit_sample(sample, clusters, self.rounds, seed, space)
        else:
            fitted = fit_in_cells(sample, clusters, self.cells, self.rounds, seed, space)
        if len(fitted.centroids) < clusters:
            space.note(
                f"{len(fitted.centroids):,} clusters instead of {clusters:,}: the sample has too "
                "few different vectors"
            )
        return fitted

    def _density(self, files: ClusterFiles, fitted: Fitted, space: Workspace) -> Density | None:
        if not self.neighbours:
            return None
        return measure_density(files, fitted.centroids, self.neighbours, self.sparse_share, space)

    def _assigned(
        self, column: Column, counted: Counted, fitted: Fitted, space: Workspace
    ) -> tuple[str, ClusterFiles]:
        """Assigns all records to clusters. Returns the folder that has the clusters of each part,
        and the cluster files."""
        search = Search.over(fitted, storage.join(space.scratch, "centroids"), self.probe)
        expected = fitted.counts * (counted.usable / max(1, int(fitted.counts.sum())))
        bins = plan_bins(expected, 2 * counted.width + _ROW_BYTES)
        parts = column.corpus.parts
        assigned, _ = space.phase("assign", AssignPart(column, search, bins), parts)
        clusters = len(fitted.centroids)
        return assigned, gather_clusters(assigned, parts, bins, counted.width, clusters, space)

    def apply(self, rows: pa.Table, fit: Fit, context: Context) -> Outcome:
        part = context.part
        assert part is not None
        if fit.assigned:
            columns = self._columns(Nearest.read(fit.assigned, part), fit.of_below)
        else:
            columns = self._columns(Nearest.nothing(part.rows, 1), ())
        if self.neighbours:
            columns |= density_of_part(fit.density, part)
        if part.number or not fit.assigned:
            return Outcome(columns)
        uri = storage.join(fit.kept, part.name + ENDING)
        return Outcome(columns, files=(write_table(uri, read_table(fit.table)),))

    def _columns(self, nearest: Nearest, of_below: tuple[np.ndarray, ...]) -> dict[str, pa.Array]:
        """Returns the measures of a part."""
        missing = nearest.clusters[:, 0] < 0
        own = np.ascontiguousarray(nearest.clusters[:, 0])
        columns = {
            "id": pa.array(own, mask=missing),
            "distance": pa.array(nearest.distance, mask=missing),
            "nearest": _lists(nearest.clusters, missing),
        }
        if len(self.levels) > 1:
            path = [np.maximum(own, 0)]
            for level in of_below:
                path.insert(0, level[path[0]])
            columns["path"] = _lists(np.stack(path, axis=1), missing)
        return columns


def _lists(numbers: np.ndarray, missing: np.ndarray) -> pa.Array:
    """Returns an array (rows, n) int32 as lists; null where `missing` is true."""
    starts = np.arange(len(numbers) + 1, dtype=np.int32) * np.int32(numbers.shape[1])
    flat = pa.array(np.ascontiguousarray(numbers).reshape(-1))
    return pa.ListArray.from_arrays(pa.array(starts), flat, mask=pa.array(missing))


def _summary(table: ClusterTable) -> str:
    """Returns a line about the quality of the clusters."""
    found = table.quality
    mean = found["inertia"] / 2 / max(1, found["records"])
    texts = [
        f"{found['clusters']:,} clusters of {found['smallest']:,} to {found['largest']:,} records "
        f"({found['empty']:,} empty)",
        f"mean distance {mean:.3f}",
    ]
    texts += [f"{n} {found[n]:.3f}" for n in ("silhouette", "purity") if found[n] is not None]
    return ", ".join(texts)
