"""Columns of vectors in the files of k-means."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from manifests.record import one_chunk


def halves(vectors: np.ndarray) -> pa.Array:
    """Returns vectors (n, width) as a column of fixed-size lists of float16."""
    return lists(np.asarray(vectors, np.float16))


def lists(vectors: np.ndarray) -> pa.Array:
    """Returns an array (n, width) as a column of fixed-size lists."""
    flat = pa.array(np.ascontiguousarray(vectors).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])


def matrix(column: pa.Array | pa.ChunkedArray, width: int) -> np.ndarray:
    """Returns a column of fixed-size lists without nulls as an array (n, width), without a copy."""
    column = one_chunk(column)
    return np.asarray(column.flatten()).reshape(len(column), width)


def distinct(vectors: np.ndarray, count: int) -> np.ndarray:
    """Returns the positions of the first `count` different vectors, in order; fewer if there are
    fewer."""
    found: dict[bytes, int] = {}
    for position, vector in enumerate(vectors):  # a loop, to stop at the last vector that counts
        found.setdefault(vector.tobytes(), position)
        if len(found) == count:
            break
    return np.array(list(found.values()), np.int64)
