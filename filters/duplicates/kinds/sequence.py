"""Sequences of images that have enough images in common: the frames of two cuts of a video."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np
import pyarrow as pa

from filters.duplicates.contract import Described, Entries, Met, Proof, from_binary, mixed
from filters.duplicates.kinds.equal import listed
from filters.duplicates.kinds.minhash import NEAREST, WINDOW
from filters.duplicates.kinds.perceptual import FAMILIES
from manifests.record import media_lists

_AT_ONCE = 1 << 16
"""Entries whose pairs are listed before those that come twice are left out (ours)."""


@dataclass(frozen=True)
class Sequence:
    """Records that share a family of images meet; `threshold` is the least share of the shorter
    one's images that the other has too.

    Where a family is in more than WINDOW records, each meets only NEAREST of the others there: a
    frame that is everywhere, all black, would bring all together with all.
    """

    threshold: float
    columns: ClassVar[tuple[str, ...]] = (FAMILIES,)

    keys_per_unit: ClassVar[int] = 16
    words: ClassVar[int] = 1
    slices_meet: ClassVar[bool] = False

    def describe(self, table: pa.Table) -> Described:
        offsets, families = _families(table)
        values = np.stack([families, families], axis=1)
        present, identity = from_binary(listed(offsets, values))
        keys = mixed(families, np.zeros(len(families), np.uint64))
        owners = np.repeat(np.arange(len(present)), np.diff(offsets))
        nothing = np.zeros((len(present), self.words), np.uint64)  # Arrow has no lists of length 0
        return Described(present, identity, keys, owners, nothing)

    def remembered(self, table: pa.Table) -> dict[str, pa.Array]:
        return {}

    def meet(self, entries: Entries) -> Met:
        from manifests.kernels.grouping import runs, similar_pairs

        starts = runs(entries.keys)
        alike = np.zeros((len(entries.keys), 2), np.uint64)
        found = [np.empty((0, 2), np.int64)]
        for some, nearest in _cut(starts):
            first, last = some[0], some[-1]
            marks, same = entries.marks[first:last], alike[first:last]
            pairs = similar_pairs(some - first, marks, same, 0, WINDOW, nearest)
            found.append(first + np.unique(pairs, axis=0))
        joined = np.concatenate(found)
        return Met(joined, np.zeros(len(joined), np.float32))

    @property
    def proof(self) -> Proof | None:
        return InCommon(self.threshold)


def _cut(starts: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
    """Borders of runs that follow one another, so many entries at once that their pairs are no
    matter, and how many others each entry is paired with."""
    lengths = np.diff(starts)
    long = lengths > WINDOW
    batch = np.cumsum(lengths) // _AT_ONCE
    new = (np.diff(batch) > 0) | (np.diff(long) != 0)
    borders = [0, *(np.flatnonzero(new) + 1).tolist(), len(lengths)]
    for first, last in pairwise(borders):
        if last > first:
            yield starts[first : last + 1], NEAREST if long[first] else WINDOW


@dataclass(frozen=True)
class InCommon:
    """The share of the images of the one with fewer that the other has too."""

    least: float
    columns: ClassVar[tuple[str, ...]] = (FAMILIES,)

    def of(self, table: pa.Table) -> pa.Array:
        offsets, families = _families(table)
        short = (mixed(families, ~families) >> np.uint64(32)).astype(np.uint32)
        return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), pa.array(short))

    def similarity(self, pairs: np.ndarray, proofs: pa.Array) -> np.ndarray:
        from manifests.kernels.jaccard import jaccard

        offsets = np.asarray(proofs.offsets).astype(np.int64)
        same = jaccard(pairs, offsets, np.asarray(proofs.values)).astype(np.float64)
        lengths = np.diff(offsets)
        first, second = lengths[pairs[:, 0]], lengths[pairs[:, 1]]
        common = same * (first + second) / (1 + same)
        share: np.ndarray = np.round(common) / np.minimum(first, second)
        return share.astype(np.float32)


def _families(table: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """Offsets (rows + 1) and the distinct families of each record, in order of first appearance."""
    offsets, families = media_lists(table[FAMILIES])
    known = np.flatnonzero(np.asarray(families.is_valid()))
    values = np.asarray(families.fill_null(0)).astype(np.uint64)[known]
    rows = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))[known]
    order = np.lexsort((values, rows))
    first = np.ones(len(order), bool)
    first[1:] = (values[order][1:] != values[order][:-1]) | (rows[order][1:] != rows[order][:-1])
    kept = np.sort(order[first])
    counts = np.bincount(rows[kept], minlength=len(offsets) - 1)
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), values[kept]
