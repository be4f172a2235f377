"""Finds records whose embeddings have a high cosine similarity, within clusters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.duplicates.files.edges import Edges
from filters.duplicates.kinds.contract import (
    CandidatePairs,
    DescribedUnits,
    Entries,
    Verifier,
    identity_only,
)
from filters.duplicates.kinds.identity import combine_hashes
from filters.duplicates.phases.forest import spanning_forest
from manifests.errors import StepError
from manifests.record import one_chunk
from manifests.vectors.nearest import SLACK

TILE = 512
"""The number of rows and of columns of one block of cosines that is computed at once (our choice);
small clusters use half of this. One block fits into the cache of a CPU core."""
MAX_PAIRS = 1 << 20
"""The number of pairs held in memory before they are reduced to a spanning forest (our choice)."""


@dataclass(frozen=True)
class Semantic:
    """Finds records by the cosine similarity of their embeddings. Only embeddings with a cluster in
    common are compared; equal embeddings are duplicates even in different clusters. An embedding
    that is all 0, or has a nan or an infinite number, is never a duplicate.

    In SemDeDup (Abbas et al. 2023) each embedding is in one cluster, so similar embeddings in
    different clusters are never compared. Here the column `clusters` may list several nearest
    clusters of each embedding; without that column all embeddings are compared with each other. The
    payload, the data stored with each key, is the unit vector in float16. `dimensions` is the
    length of the corpus's embeddings; if it is 0, the corpus has none, and nothing is a duplicate.
    """

    threshold: float
    embedding: str
    clusters: str | None
    dimensions: int

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.embedding,) if self.clusters is None else (self.embedding, self.clusters)

    keys_per_unit: ClassVar[int] = 2
    compare_across_slices: ClassVar[bool] = True

    @property
    def words(self) -> int:
        """The number of uint64 words that store a vector: each has four float16 values."""
        return -(-self.dimensions // 4)

    def describe(self, table: pa.Table) -> DescribedUnits:
        column = one_chunk(table[self.embedding])
        if not self.dimensions:  # no record of the corpus has an embedding
            nothing = np.zeros((len(column), 2), np.uint64)
            return identity_only(np.zeros(len(column), bool), nothing)
        lengths = pc.unique(pc.list_value_length(column).drop_null()).to_pylist()
        if set(lengths) - {self.dimensions}:
            sizes = " and ".join(map(str, sorted({*lengths, self.dimensions})))
            raise StepError(
                f"the embeddings have different numbers of dimensions: {sizes}",
                f"column '{self.embedding}'",
                "Embed all records with the same model.",
            )
        present, vectors = _vectors(column, self.dimensions)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        present &= norms[:, 0] > 0
        halves = np.zeros((len(vectors), 4 * self.words), np.float16)
        halves[:, : self.dimensions] = vectors / np.where(norms > 0, norms, 1)
        payload = halves.view(np.uint64)
        identity = _fingerprints(payload)
        keys, owners = self._keys(table, len(present))
        compared = present[owners]
        return DescribedUnits(present, identity, keys[compared], owners[compared], payload)

    def index_columns(self, table: pa.Table) -> dict[str, pa.Array]:
        return {name: one_chunk(table[name]) for name in self.columns}

    def candidates(self, entries: Entries) -> CandidatePairs:
        from manifests.kernels.grouping import runs

        starts = runs(entries.keys)
        found = [Edges.joined([])]
        for start, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
            halves = entries.payload[start:end].view(np.float16)
            for edges in _near_pairs(halves.astype(np.float32), self.threshold):
                shift = np.uint64(start)
                found.append(edges._replace(a=edges.a + shift, b=edges.b + shift))
        all_ = Edges.joined(found)
        # A unit vector rounded to float16 may be slightly longer than one.
        similarity = np.minimum(all_.similarity, np.float32(1))
        pairs = np.stack([all_.a, all_.b], axis=1).astype(np.int64)
        return CandidatePairs(pairs, similarity)

    @property
    def verifier(self) -> Verifier | None:
        return None

    def _keys(self, table: pa.Table, rows: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns a key (uint64) for each cluster that a row is in, and for each key the number of
        its row."""
        if self.clusters is None:
            return np.zeros(rows, np.uint64), np.arange(rows)
        clusters = one_chunk(table[self.clusters])
        if not pa.types.is_nested(clusters.type):
            clusters = pa.ListArray.from_arrays(
                pa.array(np.arange(rows + 1, dtype=np.int32)), clusters
            )
        owners = np.repeat(np.arange(rows), np.asarray(clusters.value_lengths().fill_null(0)))
        flat = clusters.flatten()
        numbers = np.asarray(flat.drop_null()).astype(np.uint64)
        keys = combine_hashes(numbers, np.zeros(len(numbers), np.uint64))
        return keys, owners[np.asarray(flat.is_valid())]


def _vectors(column: pa.Array, dimensions: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns a mask (rows,) of the rows that have a vector of finite numbers, and the vectors of
    all rows, (rows, dimensions); rows without such a vector have zeros."""
    present = np.asarray(column.is_valid())
    vectors = np.zeros((len(column), dimensions), np.float32)
    flat = np.asarray(column.drop_null().flatten()).astype(np.float32)
    vectors[present] = flat.reshape(int(present.sum()), dimensions)
    present &= np.isfinite(vectors).all(axis=1)
    vectors[~present] = 0
    return present, vectors


def _fingerprints(payload: np.ndarray) -> np.ndarray:
    """Returns a 128-bit hash of each row of `payload` (the unit vectors in float16), as two uint64:
    (n, 2)."""
    identity = np.zeros((len(payload), 2), np.uint64)
    for word in range(payload.shape[1]):
        column = np.ascontiguousarray(payload[:, word])
        identity[:, 0] = combine_hashes(identity[:, 0], column)
        identity[:, 1] = combine_hashes(column, identity[:, 1])
    return identity


def _near_pairs(vectors: np.ndarray, threshold: float) -> list[Edges]:
    """Returns the pairs of vectors with a cosine of at least the threshold, as pairs of row
    numbers. If more than MAX_PAIRS pairs are found, they are reduced to a spanning forest.

    The matrix of all cosines is computed in blocks, only on and above its diagonal. If a pair is
    found, its cosine is computed again, because the last bits of a product of blocks depend on the
    machine and on the number of threads.
    """
    from manifests.kernels.cosine import dot_products

    found: list[Edges] = []
    held = 0
    side = TILE if len(vectors) >= 8 * TILE else TILE // 2
    # Memory for one block of products and its comparison, reused for every block.
    product, close = np.empty((side, side), np.float32), np.empty((side, side), bool)
    below = np.tri(side, dtype=bool)
    for top in range(0, len(vectors), side):
        rows = vectors[top : top + side]
        for left in range(top, len(vectors), side):
            columns = vectors[left : left + side]
            block = np.s_[: len(rows), : len(columns)]
            cosine = np.matmul(rows, columns.T, out=product[block])
            near = np.greater_equal(cosine, threshold - SLACK, out=close[block])
            if left == top:
                near[below[block]] = False
            if not near.any():
                continue
            a, b = np.nonzero(near)
            exact = dot_products(vectors, a + top, b + left)
            found.append(_edges(a + top, b + left, exact).take(exact >= threshold))
            held += len(a)
            if held > MAX_PAIRS:
                found, held = [spanning_forest(Edges.joined(found)).edges], 0
    return found


def _edges(a: np.ndarray, b: np.ndarray, cosine: np.ndarray) -> Edges:
    return Edges(a.astype(np.uint64), b.astype(np.uint64), cosine)
