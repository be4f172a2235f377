"""The step `cluster`: k-means over the embeddings of all records."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import numpy as np
import pyarrow as pa
from pydantic import Field, PositiveInt

from clustering.kmeans.assign import AssignPart, Nearest
from clustering.kmeans.bins import plan_bins
from clustering.kmeans.cluster_files import ClusterFiles, gather_clusters
from clustering.kmeans.fit import Fitted, fit_sample, write_matrix
from clustering.kmeans.sample import Column, Counted, count_vectors, draw_sample
from manifests import storage
from manifests.step import Context, Corpus, CorpusStep, Outcome, Workspace

_ROW_BYTES = 28
"""The bytes of a row in a cluster file beside its vector."""


class Fit(NamedTuple):
    """What `fit` of the step returns. `assigned`: the folder of the clusters of each part; "" if no
    record has a vector."""

    assigned: str


class Cluster(CorpusStep):
    """Group records by their embeddings into `k` clusters of similar records.

    Spherical k-means (Dhillon and Modha 2001) over the directions of the vectors: the lengths of
    the vectors do not matter. It is fitted on a random sample of the corpus, `sample` vectors for
    each cluster; then all records are assigned. `id` is the number of the nearest cluster,
    `distance` is 1 - cosine of the vector and the centroid of this cluster, and `nearest` lists the
    two nearest clusters. `duplicates: {by: semantic, clusters: cluster.nearest}` compares records
    that have one of the two in common.

    A record without a vector, or whose vector is all zeros or has NaN or an infinite number, is in
    no cluster: its measures are null. If the sample has fewer different vectors than `k`, there are
    fewer clusters. This step drops no record.

        - embed: {on: image}
        - cluster: {of: embed.vector, k: 1000}
    """

    uses_seed: ClassVar[bool] = True

    of: str = Field("embed.vector", description="the column that has the embeddings")
    k: PositiveInt = Field(1000, description="number of clusters")
    sample: PositiveInt = Field(
        256, description="vectors in the sample for each cluster (256: the default of faiss)"
    )
    rounds: PositiveInt = Field(
        25, description="rounds of k-means over the sample (25: the default of faiss)"
    )

    def reads(self) -> tuple[str, ...]:
        return ("id", self.of)

    def measures(self) -> dict[str, pa.DataType]:
        return {"id": pa.int32(), "distance": pa.float32(), "nearest": pa.list_(pa.int32())}

    def fit(self, corpus: Corpus, workspace: Workspace, seed: int) -> Fit:
        column = Column(corpus, self.of, seed)
        counted = count_vectors(column, workspace)
        self._note_unusable(counted, workspace)
        if not counted.usable:
            return Fit("")
        sample = draw_sample(column, counted, self.sample * self.k, workspace)
        fitted = fit_sample(sample, self.k, self.rounds, seed, workspace)
        if len(fitted.centroids) < self.k:
            workspace.note(
                f"{len(fitted.centroids):,} clusters instead of {self.k:,}: the sample has no more "
                "different vectors"
            )
        assigned, _ = self._assigned(column, counted, fitted, workspace)
        return Fit(assigned)

    def _assigned(
        self, column: Column, counted: Counted, fitted: Fitted, space: Workspace
    ) -> tuple[str, ClusterFiles]:
        """Assigns all records. Returns the folder of the clusters of each part, and the cluster
        files."""
        uri = storage.join(space.scratch, "centroids.npy")
        write_matrix(uri, fitted.centroids)
        expected = fitted.counts * (counted.usable / max(1, int(fitted.counts.sum())))
        bins = plan_bins(expected, 2 * counted.width + _ROW_BYTES)
        parts = column.corpus.parts
        assigned, _ = space.phase("assign", AssignPart(column, uri, bins, None), parts)
        clusters = len(fitted.centroids)
        return assigned, gather_clusters(assigned, parts, bins, counted.width, clusters, space)

    def _note_unusable(self, counted: Counted, space: Workspace) -> None:
        found = [f"{count:,} ({reason})" for reason, count in counted.unusable.items() if count]
        if found:
            space.note(f"records in no cluster, by their vector: {', '.join(found)}")

    def apply(self, rows: pa.Table, fit: Fit, context: Context) -> Outcome:
        part = context.part
        assert part is not None
        if fit.assigned:
            nearest = Nearest.read(fit.assigned, part)
        else:
            nearest = Nearest.nothing(part.rows, 1)
        return Outcome(_columns(nearest))


def _columns(nearest: Nearest) -> dict[str, pa.Array]:
    """Returns the measures of a part."""
    missing = nearest.clusters[:, 0] < 0
    count = nearest.clusters.shape[1]
    starts = pa.array(np.arange(len(missing) + 1, dtype=np.int32) * count)
    flat = pa.array(nearest.clusters.reshape(-1))
    return {
        "id": pa.array(np.ascontiguousarray(nearest.clusters[:, 0]), mask=missing),
        "distance": pa.array(nearest.distance, mask=missing),
        "nearest": pa.ListArray.from_arrays(starts, flat, mask=pa.array(missing)),
    }
