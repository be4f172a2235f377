"""Products of a sparse matrix with a dense one, with a fixed order of additions.

Row i of the sparse matrix has ones in the columns `columns[offsets[i] : offsets[i + 1]]`; a column
that is listed twice counts twice.
"""

from __future__ import annotations

import numpy as np
from numba import float32, float64, int32, int64, types, void

from manifests.kernels.compiling import compiled

_ENDS = types.Array(int64, 1, "C", readonly=True)
_COLUMNS = types.Array(int32, 1, "C", readonly=True)
_TABLE = types.Array(float32, 2, "C", readonly=True)
_DENSE = types.Array(float64, 2, "C", readonly=True)


def row_sums(offsets: np.ndarray, columns: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Returns (rows, width) float32: for each row i of the sparse matrix, the sum of the rows
    `columns[offsets[i] : offsets[i + 1]]` of `table`. `table` is float32 and has `width`
    columns."""
    sums = np.zeros((len(offsets) - 1, table.shape[1]), np.float32)
    _row_sums(offsets, columns, table, sums)
    return sums


@compiled(void(_ENDS, _COLUMNS, _TABLE, float32[:, ::1]))
def _row_sums(
    offsets: np.ndarray, columns: np.ndarray, table: np.ndarray, sums: np.ndarray
) -> None:
    for row in range(len(sums)):
        for at in range(offsets[row], offsets[row + 1]):
            one = table[columns[at]]
            for k in range(table.shape[1]):
                sums[row, k] += one[k]


def times_dense(offsets: np.ndarray, columns: np.ndarray, dense: np.ndarray) -> np.ndarray:
    """Returns the product of the sparse matrix and `dense`, (rows, width) float64. `dense` is
    float64 and has `width` columns."""
    product = np.zeros((len(offsets) - 1, dense.shape[1]), np.float64)
    _times_dense(offsets, columns, dense, product)
    return product


@compiled(void(_ENDS, _COLUMNS, _DENSE, float64[:, ::1]))
def _times_dense(
    offsets: np.ndarray, columns: np.ndarray, dense: np.ndarray, product: np.ndarray
) -> None:
    for row in range(len(product)):
        for at in range(offsets[row], offsets[row + 1]):
            one = dense[columns[at]]
            for k in range(dense.shape[1]):
                product[row, k] += one[k]


def transposed_times_dense(
    offsets: np.ndarray, columns: np.ndarray, dense: np.ndarray, width: int
) -> np.ndarray:
    """Returns the product of the transposed sparse matrix and `dense`, (width, k) float64. The
    sparse matrix has `width` columns; `dense` is (rows, k) float64."""
    product = np.zeros((width, dense.shape[1]), np.float64)
    _transposed_times_dense(offsets, columns, dense, product)
    return product


@compiled(void(_ENDS, _COLUMNS, _DENSE, float64[:, ::1]))
def _transposed_times_dense(
    offsets: np.ndarray, columns: np.ndarray, dense: np.ndarray, product: np.ndarray
) -> None:
    for row in range(len(dense)):
        one = dense[row]
        for at in range(offsets[row], offsets[row + 1]):
            into = product[columns[at]]
            for k in range(dense.shape[1]):
                into[k] += one[k]
