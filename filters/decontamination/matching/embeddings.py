"""Compares the embeddings of records with the embeddings of benchmark items by their cosine."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests.errors import InputError, StepError
from manifests.record import one_chunk

_TILE = 1 << 12
"""The number of items whose embeddings are multiplied at once (our choice)."""


class ItemEmbeddings(NamedTuple):
    """The embeddings of benchmark items: unit vectors (m, dimensions) float32, and the number of
    each vector's item, (m,) int32, ascending."""

    vectors: np.ndarray
    items: np.ndarray


class Cosines(NamedTuple):
    """For each record, the number of the benchmark item with the highest cosine (int32), and this
    cosine (float32).

    A record has item -1 and cosine 0 if it has no embedding, or if its embedding has only zeros or
    has a nan. If several items have the same cosine, the first of them is returned.
    """

    item: np.ndarray
    cosine: np.ndarray


def item_embeddings(
    embeddings: list[list[float]], items: list[int], places: list[str]
) -> ItemEmbeddings:
    """Returns the embeddings of benchmark items as unit vectors. `items` has the number of each
    embedding's item. Raises InputError if the embeddings have different dimensions.

    `places` states the file and row of each embedding, for the error message.
    """
    for one, place in zip(embeddings, places, strict=True):
        if len(one) != len(embeddings[0]):
            raise InputError(
                f"the embedding of this item has {len(one)} dimensions, but the embedding of the "
                f"first item has {len(embeddings[0])}.",
                place,
                "Embed all items and all records with one model.",
            )
    dimensions = len(embeddings[0]) if embeddings else 0
    vectors = np.array(embeddings, np.float32).reshape(len(embeddings), dimensions)
    return ItemEmbeddings(_unit(vectors), np.array(items, np.int32))


def cosines(column: pa.Array | pa.ChunkedArray, known: ItemEmbeddings) -> Cosines:
    """Returns the benchmark item with the highest cosine for each record. `column` has the records'
    embeddings.

    Raises StepError if the embeddings of records and items have different dimensions.
    """
    embeddings = one_chunk(column)
    present = np.asarray(embeddings.is_valid())
    vectors = _vectors(embeddings.drop_null(), known.vectors.shape[1])
    item, best = np.full(len(present), -1, np.int32), np.zeros(len(present), np.float32)
    valid = np.isfinite(vectors).all(axis=1) & vectors.any(axis=1)
    own = np.flatnonzero(present)[valid]
    units = _unit(vectors[valid])
    at = _highest(units, known)
    item[own], best[own] = known.items[at], _exact(units, known.vectors, at)
    return Cosines(item, best)


def _vectors(embeddings: pa.Array, dimensions: int) -> np.ndarray:
    lengths = pc.unique(pc.list_value_length(embeddings)).to_pylist()
    if any(length != dimensions for length in lengths):
        other = next(length for length in lengths if length != dimensions)
        raise StepError(
            f"the embeddings of records have {other} dimensions, but the embeddings of benchmarks "
            f"have {dimensions}.",
            "setting embedding",
            "Embed records and benchmarks with the same model.",
        )
    flat = np.asarray(embeddings.flatten().fill_null(np.nan), np.float32)
    return flat.reshape(-1, dimensions)


def _unit(vectors: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    unit: np.ndarray = (vectors / norms).astype(np.float32)
    return unit


def _highest(vectors: np.ndarray, known: ItemEmbeddings) -> np.ndarray:
    """Returns, for each unit vector, the position in `known.vectors` of the vector with the highest
    cosine."""
    at, best = np.zeros(len(vectors), np.int64), np.full(len(vectors), -np.inf, np.float32)
    for left in range(0, len(known.vectors), _TILE):
        cosine = vectors @ known.vectors[left : left + _TILE].T
        nearest = cosine.argmax(axis=1)
        found = np.take_along_axis(cosine, nearest[:, None], axis=1)[:, 0]
        higher = found > best
        at[higher], best[higher] = left + nearest[higher], found[higher]
    return at


def _exact(vectors: np.ndarray, known: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Returns the cosine of vectors[i] and known[at[i]] for each i, (n,) float32. A cosine is
    computed in float64 and rounded once, so that the cosine of equal vectors is exactly 1."""
    cosine = np.empty(len(vectors), np.float32)
    for left in range(0, len(vectors), _TILE):
        one = vectors[left : left + _TILE].astype(np.float64)
        other = known[at[left : left + _TILE]].astype(np.float64)
        norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
        cosine[left : left + _TILE] = np.einsum("ij,ij->i", one, other) / norms
    return cosine
