"""Columns of embeddings as unit vectors, and the cosines of pairs of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests.errors import StepError
from manifests.record import one_chunk


class Units(NamedTuple):
    """Unit vectors, (n, dimensions) float32, and the dot product of each vector with itself, (n,)
    float32. Because of rounding, this product differs a little from 1."""

    vectors: np.ndarray
    squares: np.ndarray

    def take(self, which: np.ndarray) -> Units:
        return Units(self.vectors[which], self.squares[which])

    @property
    def rows(self) -> int:
        return len(self.vectors)


class Present(NamedTuple):
    """The vectors of a column. `rows`: (n,) int64 ascending, the rows that have a vector. `units`:
    the n vectors."""

    rows: np.ndarray
    units: Units


def dimensions_of(column: pa.Array | pa.ChunkedArray, setting: str) -> int | None:
    """Returns the number of values of a column's vectors; None if no row has a vector.

    Raises StepError if the column does not have lists of numbers, or if the vectors have different
    numbers of values. `setting` is the setting that names the column.
    """
    kind = column.type
    lists = pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind)
    if not (lists and (pa.types.is_floating(kind.value_type))):
        raise StepError(
            f"the column has the type {kind}", f"the setting '{setting}'",
            "Name a column of embeddings, such as embed.vector.",
        )  # fmt: skip
    lengths = sorted(pc.unique(pc.list_value_length(column).drop_null()).to_pylist())
    if len(lengths) > 1:
        raise StepError(
            f"the vectors have different numbers of values: {' and '.join(map(str, lengths))}",
            f"the setting '{setting}'", "Embed all records with the same model.",
        )  # fmt: skip
    return lengths[0] if lengths else None


def present_units(column: pa.Array | pa.ChunkedArray, dimensions: int) -> Present:
    """Returns the vectors of a column as unit vectors. A vector that is null, all 0, or has a null,
    a NaN or an infinite number, is left out. All vectors have `dimensions` values."""
    lists = one_chunk(column)
    rows = np.flatnonzero(np.asarray(lists.is_valid()))
    flat = lists.drop_null().flatten()
    if flat.null_count:
        flat = pc.fill_null(flat.cast(pa.float64()), np.nan)
    vectors = np.asarray(flat, np.float64 if flat.type == pa.float64() else np.float32)
    vectors = vectors.reshape(len(rows), dimensions)
    usable = np.isfinite(vectors).all(axis=1) & vectors.any(axis=1)
    if not usable.all():
        rows, vectors = rows[usable], vectors[usable]
    return Present(rows, units_of(vectors))


def units_of(vectors: np.ndarray) -> Units:
    """Returns the unit vectors of `vectors` (n, dimensions). All values must be finite, and no
    vector may have the length 0."""
    from manifests.kernels.cosine import dot_products

    units = np.empty(vectors.shape, np.float32)
    for start in range(0, len(vectors), _BLOCK_ROWS):
        block = vectors[start : start + _BLOCK_ROWS].astype(np.float64)
        block /= np.abs(block).max(axis=1, keepdims=True)  # so that no square is 0 or infinite
        norms = np.sqrt(np.einsum("ij,ij->i", block, block))
        units[start : start + _BLOCK_ROWS] = block / norms[:, None]
    every = np.arange(len(units))
    return Units(units, dot_products(units, every, every))


_BLOCK_ROWS = 4096
"""How many vectors are normalised at a time (our choice)."""


def cosines(a: Units, at: np.ndarray, b: Units, other: np.ndarray) -> np.ndarray:
    """Returns (pairs,) float32: the cosine of a[at[i]] and b[other[i]] for each i. It has the same
    bits on every machine and in every batch, and is exactly 1 for equal vectors."""
    from manifests.kernels.cosine import dot_products

    products = dot_products(a.vectors, at, other, b.vectors).astype(np.float64)
    squares = a.squares[at].astype(np.float64) * b.squares[other]
    found: np.ndarray = (products / np.sqrt(squares)).astype(np.float32)
    return found
