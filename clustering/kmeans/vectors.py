"""Reads columns of embeddings as unit vectors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests.errors import StepError
from manifests.record import one_chunk


class Units(NamedTuple):
    """The usable vectors of a table, in order. `rows` (n,) int64: their rows. `vectors` (n, width)
    float32, of unit length. `unusable`: how many rows have no usable vector, by reason."""

    rows: np.ndarray
    vectors: np.ndarray
    unusable: dict[str, int]


def unit_vectors(column: pa.Array | pa.ChunkedArray, name: str) -> Units:
    """Returns the vectors of a column of lists of numbers, divided by their lengths. A vector that
    is null, all zeros, or has NaN or an infinite number is not usable. Raises StepError if the
    vectors have different lengths; `name` is the column in its message."""
    from manifests.kernels import centroids

    column = one_chunk(column)
    present = np.flatnonzero(np.asarray(column.is_valid()))
    valid = column.drop_null()
    lengths = pc.unique(pc.list_value_length(valid)).to_pylist()
    if len(lengths) > 1:
        raise different_widths(lengths, name)
    flat = valid.flatten()
    if flat.null_count:
        flat = flat.cast(pa.float32()).fill_null(float("nan"))
    numbers = np.asarray(flat).astype(np.float32)
    width = lengths[0] if lengths else 0
    units, states = centroids.unit_vectors(numbers.reshape(len(valid), width))
    usable = states == centroids.USABLE
    unusable = {
        "null": len(column) - len(valid),
        "zero": int((states == centroids.ZERO).sum()),
        "not finite": int((states == centroids.NOT_FINITE).sum()),
    }
    return Units(present[usable], units if usable.all() else units[usable], unusable)


def different_widths(widths: list[int], name: str) -> StepError:
    """Returns the error that embeddings have different lengths."""
    sizes = " and ".join(map(str, sorted({*widths})))
    return StepError(
        f"the embeddings have different numbers of dimensions: {sizes}", f"column '{name}'",
        "Embed all records with the same model.",
    )  # fmt: skip


def halves(vectors: np.ndarray) -> pa.Array:
    """Returns vectors (n, width) as a column of fixed-size lists of float16."""
    flat = pa.array(np.ascontiguousarray(vectors, np.float16).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])


def matrix(column: pa.Array | pa.ChunkedArray, width: int) -> np.ndarray:
    """Returns a column of fixed-size lists without nulls as an array (n, width), without a copy."""
    column = one_chunk(column)
    return np.asarray(column.flatten()).reshape(len(column), width)
