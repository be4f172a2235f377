"""Collects the nearest of many vectors while they are compared block by block.

Equal cosines are ordered by keys made from ids, so that the result does not depend on the blocks.
"""

from __future__ import annotations

import numpy as np

from manifests.vectors.nearest import SLACK, TILE
from manifests.vectors.units import Units, cosines


class Nearest:
    """For each of `rows` records, the nearest other record: its number `at` (-1 for none), its
    `cosine`, and its `key`. If records are equally near, the one with the lowest key is taken."""

    def __init__(self, rows: int) -> None:
        self.at = np.full(rows, -1, np.int64)
        self.cosine = np.full(rows, -np.inf, np.float32)
        self.key = np.full(rows, np.iinfo(np.uint64).max, np.uint64)

    def add(self, row: np.ndarray, at: np.ndarray, cosine: np.ndarray, key: np.ndarray) -> None:
        """Adds pairs of records: the record `row` and another one with the number `at`."""
        order = np.lexsort((key, -cosine, row))
        first = order[np.flatnonzero(np.diff(row[order], prepend=-1))]
        own = row[first]
        better = (cosine[first] > self.cosine[own]) | (
            (cosine[first] == self.cosine[own]) & (key[first] < self.key[own])
        )
        first, own = first[better], own[better]
        self.at[own], self.cosine[own], self.key[own] = at[first], cosine[first], key[first]


class Top:
    """For each of `rows` records, the `count` nearest others, the nearest first: arrays (rows,
    count) of their numbers `at` (-1 for none) and of their cosines. If records are equally near,
    the one with the lowest number comes first."""

    def __init__(self, rows: int, count: int) -> None:
        self.count = count
        self.at = np.full((rows, count), -1, np.int64)
        self.cosine = np.full((rows, count), -np.inf, np.float32)

    def add(self, row: np.ndarray, at: np.ndarray, cosine: np.ndarray) -> None:
        """Adds pairs of records: the record `row` and another one with the number `at`."""
        better = cosine >= self.cosine[row, -1]
        row, at, cosine = row[better], at[better], cosine[better]
        if not len(row):
            return
        own = np.unique(row)
        before = self.at[own].ravel() >= 0
        rows = np.concatenate([row, np.repeat(own, self.count)[before]])
        others = np.concatenate([at, self.at[own].ravel()[before]])
        both = np.concatenate([cosine, self.cosine[own].ravel()[before]])
        order = np.lexsort((others, -both, rows))
        rows, others, both = rows[order], others[order], both[order]
        place = np.arange(len(rows)) - np.searchsorted(rows, rows)
        kept = place < self.count
        self.at[own], self.cosine[own] = -1, -np.inf
        self.at[rows[kept], place[kept]] = others[kept]
        self.cosine[rows[kept], place[kept]] = both[kept]


def compare(
    marked: Units,
    pool: Units,
    numbers: np.ndarray,
    top: Top,
    nearest: Nearest,
    first: int,
    keys: np.ndarray,
    least: float,
) -> None:
    """Compares a block of marked records with a block of the pool's records. `numbers` has the
    numbers of these records of the pool.

    Adds to `top`, for each marked record, the nearest records of the pool whose cosine is at least
    `least`. Adds to `nearest`, for each record of the pool, the nearest marked record. The marked
    records are numbered from `first` on; if they are equally near, the one with the lowest of
    `keys` is taken.
    """
    for left in range(0, marked.rows, TILE):
        rows = slice(left, min(left + TILE, marked.rows))
        for below in range(0, pool.rows, TILE):
            columns = slice(below, min(below + TILE, pool.rows))
            product = marked.vectors[rows] @ pool.vectors[columns].T
            floor = np.maximum(_floor(product, top.cosine[rows, -1], top.count), least)
            near = product >= (floor - SLACK).astype(np.float32)[:, None]
            highest = np.maximum(product.max(axis=0), nearest.cosine[columns])
            near |= product >= highest - np.float32(SLACK)
            a, b = np.nonzero(near)
            a, b = a + left, b + below
            cosine = cosines(marked, a, pool, b)
            nearest.add(b, first + a, cosine, keys[a])
            enough = cosine >= np.float32(least)
            top.add(a[enough], numbers[b[enough]], cosine[enough])


def _floor(product: np.ndarray, reached: np.ndarray, count: int) -> np.ndarray:
    """Returns a lower bound for each row of `product`: the `count` highest cosines so far, those of
    the row included, are at least as high. `reached` is the lowest of the `count` highest cosines
    before this row."""
    if not np.isneginf(reached).any() or product.shape[1] <= count:
        return reached
    ranked = np.partition(product, product.shape[1] - count, axis=1)
    highest: np.ndarray = np.maximum(reached, ranked[:, -count] - np.float32(SLACK))
    return highest
