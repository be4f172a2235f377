"""Records whose embeddings point the same way: cosine over the clusters they are nearest to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.duplicates.contract import Described, Entries, Met, Proof, mixed
from filters.duplicates.phases.edges import Edges
from filters.duplicates.phases.forest import forest
from manifests.errors import StepError
from manifests.record import one_chunk

TILE = 512
"""Rows and columns multiplied at once, half of it in small clusters: the product stays in a core's
cache (ours)."""
SLACK = 1e-4
"""A product of two unit vectors in float32 is never so far from the exact one (ours)."""
GATHERED = 1 << 20
"""Pairs gathered before they are reduced to a spanning forest (ours)."""


@dataclass(frozen=True)
class Semantic:
    """Cosine of embeddings, compared within the clusters that both are among the nearest of.

    SemDeDup (Abbas et al. 2023) compares within one cluster each; pairs on the border of two are
    then lost. `clusters` may list several nearest ones; without it, all are compared with all.
    """

    threshold: float
    embedding: str
    clusters: str | None
    dimensions: int

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.embedding,) if self.clusters is None else (self.embedding, self.clusters)

    keys_per_unit: ClassVar[int] = 2
    slices_meet: ClassVar[bool] = True

    @property
    def words(self) -> int:
        """Four float16 a word."""
        return -(-self.dimensions // 4)

    def describe(self, table: pa.Table) -> Described:
        column = one_chunk(table[self.embedding])
        lengths = pc.unique(pc.list_value_length(column).drop_null()).to_pylist()
        if set(lengths) - {self.dimensions}:
            told = " and of ".join(map(str, sorted({*lengths, self.dimensions})))
            raise StepError(f"embeddings of {told} numbers", self.embedding)
        present, vectors = _vectors(column, self.dimensions)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        present &= norms[:, 0] > 0
        halves = np.zeros((len(vectors), 4 * self.words), np.float16)
        halves[:, : self.dimensions] = vectors / np.where(norms > 0, norms, 1)
        payload = halves.view(np.uint64)
        identity = _fingerprints(payload)
        keys, owners = self._keys(table, len(present))
        mine = present[owners]
        return Described(present, identity, keys[mine], owners[mine], payload)

    def remembered(self, table: pa.Table) -> dict[str, pa.Array]:
        return {name: one_chunk(table[name]) for name in self.columns}

    def meet(self, entries: Entries) -> Met:
        from manifests.kernels.grouping import runs

        starts = runs(entries.keys)
        found = [Edges.joined([])]
        for start, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
            halves = entries.payload[start:end].view(np.float16)
            for pairs in _tiles(halves.astype(np.float32), self.threshold):
                shift = np.uint64(start)
                found.append(pairs._replace(a=pairs.a + shift, b=pairs.b + shift))
        all_ = Edges.joined(found)
        # Rounded to float16, a vector's length may be a little more than one.
        similarity = np.minimum(all_.similarity, np.float32(1))
        return Met(np.stack([all_.a, all_.b], axis=1).astype(np.int64), similarity)

    @property
    def proof(self) -> Proof | None:
        return None

    def _keys(self, table: pa.Table, rows: int) -> tuple[np.ndarray, np.ndarray]:
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
        keys = mixed(numbers, np.zeros(len(numbers), np.uint64))
        return keys, owners[np.asarray(flat.is_valid())]


def _vectors(column: pa.Array, dimensions: int) -> tuple[np.ndarray, np.ndarray]:
    present = np.asarray(column.is_valid())
    vectors = np.zeros((len(column), dimensions), np.float32)
    flat = np.asarray(column.drop_null().flatten()).astype(np.float32)
    vectors[present] = flat.reshape(int(present.sum()), dimensions)
    present &= np.isfinite(vectors).all(axis=1)
    vectors[~present] = 0
    return present, vectors


def _fingerprints(payload: np.ndarray) -> np.ndarray:
    """Two hashes (n, 2) uint64 of each row of words."""
    identity = np.zeros((len(payload), 2), np.uint64)
    for word in range(payload.shape[1]):
        column = np.ascontiguousarray(payload[:, word])
        identity[:, 0] = mixed(identity[:, 0], column)
        identity[:, 1] = mixed(column, identity[:, 1])
    return identity


def _tiles(vectors: np.ndarray, threshold: float) -> list[Edges]:
    """Pairs with cosine of at least the threshold: blocks on and above the diagonal alone.

    What a block finds is measured again, as its last bits depend on the machine and its threads.
    """
    from manifests.kernels.cosine import products

    found: list[Edges] = []
    waiting = 0
    side = TILE if len(vectors) >= 8 * TILE else TILE // 2
    # Memory for one product and its comparison, used again by every tile.
    product, close = np.empty((side, side), np.float32), np.empty((side, side), bool)
    below = np.tri(side, dtype=bool)
    for top in range(0, len(vectors), side):
        rows = vectors[top : top + side]
        for left in range(top, len(vectors), side):
            columns = vectors[left : left + side]
            part = np.s_[: len(rows), : len(columns)]
            cosine = np.matmul(rows, columns.T, out=product[part])
            near = np.greater_equal(cosine, threshold - SLACK, out=close[part])
            if left == top:
                near[below[part]] = False
            if not near.any():
                continue
            a, b = np.nonzero(near)
            exact = products(vectors, a + top, b + left)
            found.append(_edges(a + top, b + left, exact).take(exact >= threshold))
            waiting += len(a)
            if waiting > GATHERED:
                found, waiting = [forest(Edges.joined(found)).edges], 0
    return found


def _edges(a: np.ndarray, b: np.ndarray, cosine: np.ndarray) -> Edges:
    return Edges(a.astype(np.uint64), b.astype(np.uint64), cosine)
