"""Linear algebra on tall matrices and small symmetric ones, the same to the last bit for any number
of threads. In a linear algebra library the order of additions depends on the number of threads."""

from __future__ import annotations

import math

import numpy as np
from numba import float64, types, void

from manifests.kernels.compiling import compiled

_DENSE = types.Array(float64, 2, "C", readonly=True)
_DEPENDENT = 1e-12
"""A column whose part that is orthogonal to the columns before it has less than this share of its
squared length counts as dependent on them (our choice)."""
_SWEEPS = 30
"""The most sweeps of Jacobi's method (our choice; matrices of this size need about ten)."""


def gram(tall: np.ndarray) -> np.ndarray:
    """Returns the dot products of the columns of a matrix (rows, k) float64: (k, k)."""
    products = np.zeros((tall.shape[1], tall.shape[1]))
    _gram(tall, products)
    return products


@compiled(void(_DENSE, float64[:, ::1]))
def _gram(tall: np.ndarray, products: np.ndarray) -> None:
    for row in tall:
        for i in range(len(row)):
            value = row[i]
            for k in range(len(row)):
                products[i, k] += value * row[k]


def times_small(tall: np.ndarray, small: np.ndarray) -> np.ndarray:
    """Returns the product of a matrix (rows, k) and a small one (k, m), both float64."""
    product = np.zeros((len(tall), small.shape[1]))
    _times_small(tall, small, product)
    return product


@compiled(void(_DENSE, _DENSE, float64[:, ::1]))
def _times_small(tall: np.ndarray, small: np.ndarray, product: np.ndarray) -> None:
    for row in range(len(tall)):
        for i in range(len(small)):
            value = tall[row, i]
            for k in range(small.shape[1]):
                product[row, k] += value * small[i, k]


def orthonormal(tall: np.ndarray) -> np.ndarray:
    """Returns columns of length 1, orthogonal to each other, that span what the columns of a matrix
    (rows, k) float64 span. A column that depends on those before it becomes zeros."""
    factor = gram(tall)
    inverse = np.zeros_like(factor)
    _invert_factor(factor, inverse)
    return times_small(tall, np.ascontiguousarray(inverse.T))


@compiled(void(float64[:, ::1], float64[:, ::1]))
def _invert_factor(matrix: np.ndarray, inverse: np.ndarray) -> None:
    """Replaces a symmetric matrix by its Cholesky factor L, and writes the inverse of L."""
    for j in range(len(matrix)):
        length = matrix[j, j]
        for k in range(j):
            total = matrix[j, k]
            for i in range(k):
                total -= matrix[j, i] * matrix[k, i]
            matrix[j, k] = total / matrix[k, k] if matrix[k, k] > 0 else 0.0
        rest = length
        for k in range(j):
            rest -= matrix[j, k] ** 2
        matrix[j, j] = math.sqrt(rest) if rest > _DEPENDENT * length else 0.0
        if matrix[j, j] == 0:
            continue
        for k in range(j):
            for i in range(k + 1):
                inverse[j, i] -= matrix[j, k] * inverse[k, i]
        for i in range(j):
            inverse[j, i] /= matrix[j, j]
        inverse[j, j] = 1 / matrix[j, j]


def eigen(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the eigenvalues of a symmetric matrix, the largest first, and its eigenvectors as
    columns, by Jacobi's method. The largest element of each eigenvector is positive."""
    values, rows = np.array(matrix, np.float64), np.eye(len(matrix))
    _rotate(values, rows)
    found = np.diagonal(values)
    order = np.argsort(-found, kind="stable")
    largest = np.abs(rows).argmax(axis=1)
    rows = rows * np.where(rows[np.arange(len(rows)), largest] < 0, -1.0, 1.0)[:, None]
    return found[order], np.ascontiguousarray(rows[order].T)


@compiled(void(float64[:, ::1], float64[:, ::1]))
def _rotate(values: np.ndarray, rows: np.ndarray) -> None:
    """Makes a symmetric matrix diagonal, and writes its eigenvectors as the rows of `rows`."""
    n = len(values)
    for _ in range(_SWEEPS):
        outside, inside = 0.0, 0.0
        for i in range(n):
            inside += values[i, i] ** 2
            for k in range(i):
                outside += values[i, k] ** 2
        if outside <= 1e-30 * inside:
            break
        for i in range(n):
            for k in range(i + 1, n):
                if values[i, k] == 0.0:
                    continue
                theta = (values[k, k] - values[i, i]) / (2 * values[i, k])
                sign = 1.0 if theta >= 0 else -1.0
                t = sign / (abs(theta) + math.sqrt(theta * theta + 1))
                c = 1 / math.sqrt(t * t + 1)
                s = t * c
                for m in range(n):
                    a, b = values[i, m], values[k, m]
                    values[i, m], values[k, m] = c * a - s * b, s * a + c * b
                for m in range(n):
                    a, b = values[m, i], values[m, k]
                    values[m, i], values[m, k] = c * a - s * b, s * a + c * b
                for m in range(n):
                    a, b = rows[i, m], rows[k, m]
                    rows[i, m], rows[k, m] = c * a - s * b, s * a + c * b
