"""Columns of embeddings: fixed-size lists of float16."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from clustering.embed.embedder import Vectors
from manifests.errors import RowError
from manifests.step import Measured

LARGEST = float(np.finfo(np.float16).max)
"""The largest finite number of float16 (documented: IEEE 754 binary16): 65504."""


def vector_type(width: int) -> pa.DataType:
    """The type of a column of embeddings of `width` values."""
    return pa.list_(pa.float16(), width)


def halves(found: Vectors) -> Measured:
    """Returns the measure `vector`: float16, null where there is no embedding. A row whose vector
    has NaN, an infinite number, or a number that is too large for float16 has an error."""
    width = found.vectors.shape[1]
    wrong = found.present & ~(np.abs(found.vectors) <= LARGEST).all(axis=1)
    for row in np.flatnonzero(wrong).tolist():
        found.errors.add(row, RowError(_fault(found.vectors[row]), fix=_FIX))
    kept = found.present & ~wrong
    vectors = np.where(kept[:, None], found.vectors, np.float32(0)).astype(np.float16)
    flat = pa.array(vectors.reshape(-1))
    lists = pa.FixedSizeListArray.from_arrays(flat, width, mask=pa.array(~kept))
    return Measured({"vector": lists}, found.errors)


_FIX = "If the model computes in float16, export it in float32."


def _fault(vector: np.ndarray) -> str:
    if not np.isfinite(vector).all():
        return "the model's embedding has NaN or an infinite number"
    largest = float(np.abs(vector).max())
    return f"the model's embedding has the number {largest:g}, which is too large for float16"
