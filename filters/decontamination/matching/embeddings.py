"""Embeddings of benchmarks, and which of them a record's embedding points the same way as."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests.errors import InputError, StepError
from manifests.record import one_chunk

_TILE = 1 << 12
"""Embeddings of a benchmark multiplied at once (ours)."""


class Directions(NamedTuple):
    """Unit vectors, float32 (m, dimensions), and the item that each is of, int32, ascending."""

    vectors: np.ndarray
    items: np.ndarray


class Cosines(NamedTuple):
    """Of each record the item with the highest cosine, int32, and that cosine, float32; -1 and 0
    where it has no embedding. Of items equal in this the first."""

    item: np.ndarray
    cosine: np.ndarray


def directions_of(embeddings: list[list[float]], items: list[int], places: list[str]) -> Directions:
    """Raises InputError where not all have the same number of dimensions."""
    for one, place in zip(embeddings, places, strict=True):
        if len(one) != len(embeddings[0]):
            raise InputError(
                f"an embedding of {len(one)} dimensions, where the first has {len(embeddings[0])}.",
                place,
                "Embed all items with the model that the records were embedded with.",
            )
    dimensions = len(embeddings[0]) if embeddings else 0
    vectors = np.array(embeddings, np.float32).reshape(len(embeddings), dimensions)
    return Directions(_unit(vectors), np.array(items, np.int32))


def cosines(column: pa.Array | pa.ChunkedArray, known: Directions) -> Cosines:
    """Raises StepError where the records' embeddings are of other dimensions."""
    embeddings = one_chunk(column)
    present = np.asarray(embeddings.is_valid())
    vectors = _vectors(embeddings.drop_null(), known.vectors.shape[1])
    item, best = np.full(len(present), -1, np.int32), np.zeros(len(present), np.float32)
    sound = np.isfinite(vectors).all(axis=1) & vectors.any(axis=1)
    own = np.flatnonzero(present)[sound]
    item[own], best[own] = _highest(_unit(vectors[sound]), known)
    return Cosines(item, best)


def _vectors(embeddings: pa.Array, dimensions: int) -> np.ndarray:
    lengths = pc.unique(pc.list_value_length(embeddings)).to_pylist()
    if any(length != dimensions for length in lengths):
        other = next(length for length in lengths if length != dimensions)
        raise StepError(
            f"the records' embeddings have {other} dimensions, the benchmarks' {dimensions}.",
            "setting embedding",
            "Embed both with the same model.",
        )
    flat = np.asarray(embeddings.flatten().fill_null(np.nan), np.float32)
    return flat.reshape(-1, dimensions)


def _unit(vectors: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    unit: np.ndarray = (vectors / norms).astype(np.float32)
    return unit


def _highest(vectors: np.ndarray, known: Directions) -> tuple[np.ndarray, np.ndarray]:
    item, best = np.zeros(len(vectors), np.int32), np.full(len(vectors), -np.inf, np.float32)
    for left in range(0, len(known.vectors), _TILE):
        cosine = vectors @ known.vectors[left : left + _TILE].T
        at = cosine.argmax(axis=1)
        found = np.take_along_axis(cosine, at[:, None], axis=1)[:, 0]
        higher = found > best
        item[higher], best[higher] = known.items[left + at[higher]], found[higher]
    return item, best
