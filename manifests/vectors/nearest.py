"""Finds the nearest of some known vectors by the cosine."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from manifests.vectors.units import Units, cosines

SLACK = 1e-4
"""An upper bound of the rounding error of a cosine that is computed in float32 (our choice)."""
TILE = 2048
"""The number of rows and of known vectors whose cosines are computed at once (our choice: 16
MB)."""


class Nearest(NamedTuple):
    """For each row, the position of the nearest known vector (int64), -1 for none, and its cosine
    (float32). If several known vectors are equally near, the first one counts."""

    at: np.ndarray
    cosine: np.ndarray


def nearest(rows: Units, known: Units) -> Nearest:
    """Returns the nearest known vector of each row.

    The last bits of a product of matrices depend on how the matrices are divided into blocks. So
    all known vectors whose product is near the highest are compared again, by cosines that do not
    depend on the blocks.
    """
    at, best = np.full(rows.rows, -1, np.int64), np.full(rows.rows, -np.inf, np.float32)
    for top in range(0, rows.rows, TILE):
        for left in range(0, known.rows, TILE):
            block = slice(top, top + TILE)
            product = rows.vectors[block] @ known.vectors[left : left + TILE].T
            floor = np.maximum(product.max(axis=1), best[block]) - np.float32(SLACK)
            row, column = np.nonzero(product >= floor[:, None])
            row, column = row + top, column + left
            raise_best(at, best, row, column, cosines(rows, row, known, column))
    return Nearest(at, best)


def raise_best(
    at: np.ndarray, best: np.ndarray, row: np.ndarray, column: np.ndarray, cosine: np.ndarray
) -> None:
    """Finds the highest of the new cosines of each row. If it is over the row's value in `best`,
    writes it to `best`, and its column to `at`. Of equal cosines, the lowest column counts."""
    order = np.lexsort((column, -cosine, row))
    first = order[np.flatnonzero(np.diff(row[order], prepend=-1))]
    higher = first[cosine[first] > best[row[first]]]
    at[row[higher]], best[row[higher]] = column[higher], cosine[higher]
