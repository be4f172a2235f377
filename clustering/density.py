"""How dense the neighbourhood of each record is: its nearest records, in the clusters around it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from clustering.kmeans.bins import Bin
from clustering.kmeans.cluster_files import ClusterFiles, ClusterRows
from clustering.sparsest import Last, last_of_sparsest, sparsest
from manifests import storage
from manifests.step import Part, TaskResult, Workspace
from manifests.storage import parts

NEAR_CLUSTERS = 4
"""In how many clusters the neighbours of a record are searched, at least: the record's own and
those with the nearest centroids. Our choice: benchmarks/sparse_concepts.py finds the same share of
rare records with 8."""
CANDIDATES = 10
"""More clusters are searched until they have this many records for each neighbour. Our choice: with
5, benchmarks/sparse_concepts.py finds fewer rare records."""
_QUERIES, _BASE = 1024, 4096
"""How many records are compared with how many others at a time (our choice: 32 MB of cosines)."""
_CENTROIDS = 1024
"""How many centroids are compared with all centroids at a time (our choice)."""


class Density(NamedTuple):
    """Where the densities of all records are. `names`: the files in `folder`, one for each bin.
    `last`: the last of the sparse records, in the order from the sparsest on."""

    folder: str
    names: tuple[str, ...]
    last: Last

    def of_part(self, part: Part) -> Iterator[tuple[pa.Table, np.ndarray]]:
        """Yields the records of a part that are in each bin, and whether they are sparse."""
        for name in self.names:
            table = parts.read_columns(storage.join(self.folder, name))
            first, end = np.searchsorted(np.asarray(table["part"]), [part.number, part.number + 1])
            table = table.slice(first, end - first)
            yield table, sparsest(table, self.last)


def measure_density(
    files: ClusterFiles,
    centroids: np.ndarray,
    neighbours: int,
    sparse_share: float,
    space: Workspace,
) -> Density:
    """Finds the `neighbours` nearest records of each record. `centroids` (k, width): the centroids
    of the clusters, of unit length.

    Nearest records are searched in the record's cluster and the nearest other clusters. The cosines
    are exact, so they do not depend on the order of records or on the linear algebra library.
    """
    near = near_clusters(centroids, files.sizes, neighbours)
    bins = files.bins
    folder, _ = space.phase("density", DensityOfBin(files, near, neighbours), bins)
    names = tuple(one.name + ".arrow" for one in bins)
    count = round(sparse_share * int(files.sizes.sum()))
    return Density(folder, names, last_of_sparsest(folder, names, count, space))


def density_of_part(found: Density | None, part: Part) -> dict[str, pa.Array]:
    """Returns the columns of a part; null for a record that is in no cluster. None: no record is in
    one."""
    values = np.zeros((2, part.rows), np.float32)
    sparse, known = np.zeros(part.rows, bool), np.zeros(part.rows, bool)
    for table, is_sparse in found.of_part(part) if found else ():
        rows = np.asarray(table["row"])
        known[rows], sparse[rows] = True, is_sparse
        values[:, rows] = np.asarray(table["density"]), np.asarray(table["sparsity"])
    return {
        "density": pa.array(values[0], mask=~known),
        "sparsity": pa.array(values[1], mask=~known),
        "sparse": pa.array(sparse, mask=~known),
    }


def near_clusters(
    centroids: np.ndarray, sizes: np.ndarray, neighbours: int
) -> tuple[np.ndarray, ...]:
    """Returns, for each cluster, the numbers of the clusters in which the neighbours of its records
    are searched: itself, then those with the nearest centroids. Empty clusters are left out."""
    full = np.flatnonzero(sizes)
    halves = centroids[full].astype(np.float16)
    near: list[np.ndarray] = [np.empty(0, np.int64)] * len(sizes)
    for start in range(0, len(full), _CENTROIDS):
        cosines = _cosines(halves[start : start + _CENTROIDS], halves)
        own = np.arange(len(cosines))
        cosines[own, start + own] = np.inf
        order = np.argsort(-cosines, axis=1, kind="stable")
        held = np.cumsum(sizes[full][order], axis=1)
        enough = (held < CANDIDATES * neighbours).sum(axis=1) + 1
        for row, cluster in enumerate(full[start : start + _CENTROIDS].tolist()):
            near[cluster] = full[order[row, : max(NEAR_CLUSTERS, int(enough[row]))]]
    return tuple(near)


@dataclass(frozen=True)
class DensityOfBin:
    """A task: finds the nearest neighbours of the records of a bin. `near`: for each cluster, the
    clusters in which they are searched."""

    files: ClusterFiles
    near: tuple[np.ndarray, ...]
    neighbours: int

    def __call__(self, one: Bin, folder: str) -> TaskResult:
        tables = [self._cluster(one, cluster) for cluster in range(one.first, one.end)]
        table = pa.concat_tables(tables).sort_by([("part", "ascending"), ("row", "ascending")])
        uri = storage.join(folder, one.name + ".arrow")
        return TaskResult([parts.write(uri, table.schema, [table], durable=False)], {})

    def _cluster(self, one: Bin, cluster: int) -> pa.Table:
        queries = self.files.read_bin(one, cluster)
        best = np.full((len(queries.keys), self.neighbours), -np.inf)
        for other in self.near[cluster].tolist() if len(best) else ():
            for base in _pieces(self.files.blocks(other), _BASE):
                _improve(best, queries, base, other == cluster)
        density, sparsity = densities(best)
        columns = {"key": queries.keys, "part": queries.parts, "row": queries.rows}
        return pa.table(columns | {"density": density, "sparsity": sparsity})


def densities(cosines: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the density and the sparsity of records from the cosines to their neighbours (n,
    neighbours), -inf where there is no other record.

    The density is the mean cosine, and the sparsity is 1 - cosine to the farthest neighbour. A
    record that is alone has density 0 and sparsity 1.
    """
    nearest_first = -np.sort(-cosines, axis=1)
    found = np.isfinite(nearest_first)
    count = found.sum(axis=1)
    total = np.where(found, nearest_first, 0).cumsum(axis=1)[:, -1]
    last = nearest_first[np.arange(len(count)), np.maximum(count - 1, 0)]
    farthest = np.where(count > 0, last, 0)
    density = np.where(count > 0, total / np.maximum(count, 1), 0)
    return density.astype(np.float32), np.maximum(1 - farthest, 0).astype(np.float32)


def _improve(best: np.ndarray, queries: ClusterRows, base: ClusterRows, same: bool) -> None:
    """Replaces the cosines (n, neighbours) in `best` by larger ones to the records of `base`.
    `same`: both are of one cluster, so that a record may meet itself."""
    count = best.shape[1]
    for start in range(0, len(best), _QUERIES):
        rows = slice(start, start + _QUERIES)
        cosines = _cosines(queries.vectors[rows], base.vectors)
        if same:
            itself = queries.rows[rows, None] == base.rows
            cosines[itself & (queries.parts[rows, None] == base.parts)] = -np.inf
        better = np.flatnonzero(cosines.max(axis=1) > best[rows].min(axis=1))
        both = np.concatenate([best[rows][better], cosines[better]], axis=1)
        both.partition(both.shape[1] - count, axis=1)
        best[start + better] = both[:, -count:]


def _cosines(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Returns the cosines (n, m) float64 of vectors (n, width) and (m, width) float16, whose
    lengths are about 1.

    Values of float16 are multiples of 2^-24. So a sum of their products is a multiple of 2^-48
    and, below 32, exact in float64 in any order of additions.
    """
    wide, others = one.astype(np.float64), other.astype(np.float64)
    cosines: np.ndarray = wide @ others.T
    cosines /= _lengths(wide)[:, None]
    cosines /= _lengths(others)
    return cosines


def _lengths(vectors: np.ndarray) -> np.ndarray:
    lengths: np.ndarray = np.sqrt((vectors * vectors).sum(axis=1))
    return lengths


def _pieces(blocks: Iterator[ClusterRows], rows: int) -> Iterator[ClusterRows]:
    """Yields the rows of the blocks, `rows` at a time."""
    for block in blocks:
        for start in range(0, len(block.keys), rows):
            yield ClusterRows(*(column[start : start + rows] for column in block))
