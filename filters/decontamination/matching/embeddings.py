"""Compares the embeddings of records with the embeddings of benchmark items by their cosine."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from manifests.errors import InputError, StepError
from manifests.examples.embedded import EmbeddedItems
from manifests.vectors.nearest import nearest
from manifests.vectors.units import dimensions_of, present_units, units_of


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
) -> EmbeddedItems:
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
    return EmbeddedItems(units_of(vectors), np.array(items, np.int32))


def cosines(column: pa.Array | pa.ChunkedArray, known: EmbeddedItems) -> Cosines:
    """Returns the benchmark item with the highest cosine for each record. `column` has the records'
    embeddings.

    Raises StepError if the embeddings of records and items have different dimensions.
    """
    item, best = np.full(len(column), -1, np.int32), np.zeros(len(column), np.float32)
    dimensions = dimensions_of(column, "embedding")
    if dimensions is None or not known.units.rows:
        return Cosines(item, best)
    if dimensions != known.units.vectors.shape[1]:
        raise StepError(
            f"the embeddings of records have {dimensions} dimensions, but the embeddings of "
            f"benchmarks have {known.units.vectors.shape[1]}.",
            "the setting 'embedding'",
            "Embed records and benchmarks with the same model.",
        )
    present = present_units(column, dimensions)
    found = nearest(present.units, known.units)
    item[present.rows], best[present.rows] = known.items[found.at], found.cosine
    return Cosines(item, best)
