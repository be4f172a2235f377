"""Fits many centroids in two levels: a few cells first, then the centroids within each cell."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from clustering.kmeans import lloyd, vectors
from clustering.kmeans.assign import AssignPart
from clustering.kmeans.bins import Bin, plan_bins
from clustering.kmeans.cluster_files import ClusterFiles, gather_clusters
from clustering.kmeans.fit import fit_sample, write_table
from clustering.kmeans.model import Fitted, Search
from clustering.kmeans.sample import Sample
from manifests import storage
from manifests.run.manifest import Commit
from manifests.step import TaskResult, Workspace
from manifests.storage import parts

_PER_CELL = 256
"""Vectors of the sample on which a cell is fitted (the default of faiss)."""


@dataclass(frozen=True)
class FitCells:
    """A task: fits the centroids of the cells of a bin. `clusters`: how many centroids each cell
    gets."""

    files: ClusterFiles
    clusters: tuple[int, ...]
    rounds: int
    seed: int

    def __call__(self, one: Bin, folder: str) -> TaskResult:
        found, cells = [], []
        for cell in range(one.first, one.end):
            if self.clusters[cell]:
                own = self.files.read(cell).vectors
                fitted = lloyd.fit(own, self.clusters[cell], self.rounds, [self.seed, cell])
                found.append(fitted)
                cells += [cell] * len(fitted.centroids)
        if not found:
            return TaskResult([], {})
        columns = {
            "vector": vectors.lists(np.concatenate([fitted.centroids for fitted in found])),
            "count": pa.array(np.concatenate([fitted.counts for fitted in found])),
            "cell": pa.array(cells, pa.int32()),
        }
        return TaskResult([write_table(folder, one.name, pa.table(columns))], {})


def fit_in_cells(
    sample: Sample, clusters: int, cells: int, rounds: int, seed: int, space: Workspace
) -> Fitted:
    """Fits `cells` cells, then `clusters` centroids in these cells. The more vectors of the sample
    a cell has, the more centroids it gets; they are fitted on the vectors of the cell."""
    few = sample.first(_PER_CELL * cells)
    coarse = fit_sample(few, cells, rounds, seed, space, "cells")
    search = Search.over(coarse, storage.join(space.scratch, "cells"))
    share = coarse.counts * (sum(sample.rows) / max(1, int(coarse.counts.sum())))
    bins = plan_bins(share, 2 * sample.width)
    assign = AssignPart(sample, search, bins)
    folder, _ = space.phase("cells-assign", assign, sample.parts)
    files = gather_clusters(
        folder, sample.parts, bins, sample.width, len(coarse.centroids), space, "cells-vectors"
    )
    shares = tuple(quotas(files.sizes, clusters).tolist())
    firsts = [one for one in bins if one.slice == 0]
    fit = FitCells(files, shares, rounds, seed)
    return _joined(*space.phase("cells-fit", fit, firsts), coarse, sample.width)


def _joined(folder: str, commits: Iterable[Commit], coarse: Fitted, width: int) -> Fitted:
    """Returns the centroids of all cells. Cells that have no centroids are left out."""
    uris = [storage.join(folder, file.name) for commit in commits for file in commit.files]
    table = pa.concat_tables(map(parts.read_columns, uris)).combine_chunks()
    used, cells = np.unique(np.asarray(table["cell"]), return_inverse=True)
    centroids = vectors.matrix(table["vector"], width)
    counts = np.asarray(table["count"])
    return Fitted(centroids, counts, coarse.centroids[used], cells.astype(np.int32))


def quotas(sizes: np.ndarray, total: int) -> np.ndarray:
    """Divides `total` over groups in proportion to their sizes. Each group gets at most its size,
    and at least 1 if it is not empty. What is left after rounding goes to the groups with the
    largest remainders.

    quotas([60, 30, 0, 10], 10) -> [6, 3, 0, 1]
    """
    exact = sizes * (total / max(1, int(sizes.sum())))
    found: np.ndarray = np.minimum(np.maximum(np.floor(exact).astype(np.int64), sizes > 0), sizes)
    while left := total - int(found.sum()):
        sign = 1 if left > 0 else -1
        free = found < sizes if left > 0 else found > 1
        if not free.any():
            break
        order = np.argsort(np.where(free, sign * (found - exact), np.inf), kind="stable")
        found[order[: min(abs(left), int(free.sum()))]] += sign
    return found
