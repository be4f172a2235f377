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

SEARCHED = 8
"""In how many clusters the neighbours of a record are searched, at least: those with the nearest
centroids (our choice: benchmarks/sparse_concepts.py compares it with a search of all records)."""
CANDIDATES = 10
"""More clusters are searched until they have this many records for each neighbour (our choice)."""
_AROUND = 8 * SEARCHED
"""From how many clusters around a record's own the searched ones are chosen (our choice)."""
_QUERIES, _BASE = 1024, 4096
"""How many records are compared with how many others at a time (our choice: 32 MB of cosines)."""
_CENTROIDS = 1024
"""How many centroids are compared with all centroids at a time (our choice)."""


class Density(NamedTuple):
    """The files that have the densities of all records. `names`: the files in `folder`, one for
    each bin. `last`: the last record that counts as sparse, if the records are ordered from the
    sparsest on."""

    folder: str
    names: tuple[str, ...]
    last: Last

    def of_part(self, part: Part) -> Iterator[tuple[pa.Table, np.ndarray]]:
        """Yields, for each bin, the records of the part in this bin, and which of them are
        sparse."""
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
    rounded = centroids.astype(np.float16)
    around = clusters_around(rounded, files.sizes, neighbours)
    work = DensityOfBin(files, rounded, around, neighbours)
    folder, _ = space.phase("density", work, files.bins)
    names = tuple(one.name + ".arrow" for one in files.bins)
    count = round(sparse_share * int(files.sizes.sum()))
    return Density(folder, names, last_of_sparsest(folder, files.bins, count, space))


def density_of_part(found: Density | None, part: Part) -> dict[str, pa.Array]:
    """Returns the columns of a part; they are null for a record that is in no cluster. `found` is
    None if no record of the corpus is in a cluster."""
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


def clusters_around(
    centroids: np.ndarray, sizes: np.ndarray, neighbours: int
) -> tuple[np.ndarray, ...]:
    """Returns, for each cluster, the numbers of the clusters with the nearest centroids, the
    cluster itself first. Empty clusters are left out. `centroids` (k, width) float16."""
    full = np.flatnonzero(sizes)
    around: list[np.ndarray] = [np.empty(0, np.int64)] * len(sizes)
    for start in range(0, len(full), _CENTROIDS):
        cosines = _cosines(centroids[full[start : start + _CENTROIDS]], centroids[full])
        own = np.arange(len(cosines))
        cosines[own, start + own] = np.inf
        order = np.argsort(-cosines, axis=1, kind="stable")
        counts = np.maximum(_AROUND, _enough(sizes[full][order], neighbours))
        for row, cluster in enumerate(full[start : start + _CENTROIDS].tolist()):
            around[cluster] = full[order[row, : int(counts[row])]]
    return tuple(around)


def _enough(sizes: np.ndarray, neighbours: int) -> np.ndarray:
    """Returns, for each row of `sizes`, how many of its first clusters are needed to have
    CANDIDATES * `neighbours` records together."""
    enough: np.ndarray = (np.cumsum(sizes, axis=1) < CANDIDATES * neighbours).sum(axis=1) + 1
    return enough


@dataclass(frozen=True)
class DensityOfBin:
    """A task: finds the nearest neighbours of the records of a bin. `centroids` (k, width) float16.
    `around`: for each cluster, the clusters around it."""

    files: ClusterFiles
    centroids: np.ndarray
    around: tuple[np.ndarray, ...]
    neighbours: int

    def __call__(self, one: Bin, folder: str) -> TaskResult:
        tables = [self._cluster(one, cluster) for cluster in range(one.first, one.end)]
        table = pa.concat_tables(tables).sort_by([("part", "ascending"), ("row", "ascending")])
        uri = storage.join(folder, one.name + ".arrow")
        return TaskResult([parts.write(uri, table.schema, [table], durable=False)], {})

    def _cluster(self, one: Bin, cluster: int) -> pa.Table:
        queries = self.files.read_bin(one, cluster)
        best = np.full((len(queries.keys), self.neighbours), -np.inf)
        searched = self._searched(queries, cluster)
        for other, column in zip(self.around[cluster].tolist(), searched.T, strict=True):
            rows = np.flatnonzero(column)
            for base in _pieces(self.files.blocks(other), _BASE) if len(rows) else ():
                _improve(best, rows, queries, base, other == cluster)
        density, sparsity = densities(best)
        columns = {"key": queries.keys, "part": queries.parts, "row": queries.rows}
        return pa.table(columns | {"density": density, "sparsity": sparsity})

    def _searched(self, queries: ClusterRows, cluster: int) -> np.ndarray:
        """Returns (n, clusters) bool: whether each record's neighbours are searched in each of the
        clusters around its own."""
        around = self.around[cluster]
        searched = np.zeros((len(queries.keys), len(around)), bool)
        for start in range(0, len(searched), _QUERIES):
            block = searched[start : start + _QUERIES]
            vectors = queries.vectors[start : start + _QUERIES]
            order = np.argsort(-_cosines(vectors, self.centroids[around]), axis=1, kind="stable")
            counts = np.maximum(SEARCHED, _enough(self.files.sizes[around][order], self.neighbours))
            chosen = np.arange(len(around)) < counts[:, None]
            np.put_along_axis(block, order, chosen, axis=1)
        return searched


def densities(cosines: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the density and the sparsity of n records. `cosines` (n, neighbours): the cosines of
    each record and its neighbours; -inf in place of neighbours that it does not have.

    The density is the mean cosine, and the sparsity is 1 - cosine to the farthest neighbour. A
    record without neighbours has density 0 and sparsity 1.
    """
    nearest_first = -np.sort(-cosines, axis=1)
    found = np.isfinite(nearest_first)
    count = found.sum(axis=1)
    total = np.where(found, nearest_first, 0).cumsum(axis=1)[:, -1]
    last = nearest_first[np.arange(len(count)), np.maximum(count - 1, 0)]
    farthest = np.where(count > 0, last, 0)
    density = np.where(count > 0, total / np.maximum(count, 1), 0)
    return density.astype(np.float32), np.maximum(1 - farthest, 0).astype(np.float32)


def _improve(
    best: np.ndarray, chosen: np.ndarray, queries: ClusterRows, base: ClusterRows, same: bool
) -> None:
    """Compares the records `chosen` of `queries` with those of `base`, and keeps the largest
    cosines of each record in its row of `best` (n, neighbours). `same`: both are of one cluster, so
    a record may meet itself, which is not counted."""
    count = best.shape[1]
    for start in range(0, len(chosen), _QUERIES):
        rows = chosen[start : start + _QUERIES]
        cosines = _cosines(queries.vectors[rows], base.vectors)
        if same:
            itself = queries.rows[rows, None] == base.rows
            cosines[itself & (queries.parts[rows, None] == base.parts)] = -np.inf
        better = cosines.max(axis=1) > best[rows].min(axis=1)
        both = np.concatenate([best[rows[better]], cosines[better]], axis=1)
        both.partition(both.shape[1] - count, axis=1)
        best[rows[better]] = both[:, -count:]


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
