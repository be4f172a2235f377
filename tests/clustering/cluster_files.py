"""Cluster files of tests, made from vectors whose clusters are known."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from clustering.kmeans.assign import vector_schema
from clustering.kmeans.bins import Bin, bin_numbers
from clustering.kmeans.cluster_files import ClusterFiles
from clustering.kmeans.vectors import halves
from manifests import record
from manifests.step import Part
from manifests.storage import parts

SEED = 3


class Clustered(NamedTuple):
    """Unit vectors (n, width) float16, the cluster of each, and unit centroids (k, width)."""

    vectors: np.ndarray
    clusters: np.ndarray
    centroids: np.ndarray

    @property
    def keys(self) -> np.ndarray:
        ids = record.record_ids("made", map(str, range(len(self.vectors))))
        return record.random_keys(ids, SEED)


def clustered(rows: int, clusters: int, width: int = 16, seed: int = 0) -> Clustered:
    """Random vectors around random centroids; each is in the cluster of its nearest centroid."""
    draw = np.random.default_rng(seed)
    centroids = unit(draw.standard_normal((clusters, width))).astype(np.float32)
    around = centroids[draw.integers(0, clusters, rows)]
    vectors = unit(around + 0.4 * draw.standard_normal((rows, width)) * draw.random((rows, 1)))
    halved = vectors.astype(np.float16)
    return Clustered(halved, (halved @ centroids.T.astype(np.float16)).argmax(axis=1), centroids)


def unit(vectors: np.ndarray) -> np.ndarray:
    found: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return found


def write_files(
    folder: Path, made: Clustered, bins: tuple[Bin, ...], in_parts: np.ndarray
) -> ClusterFiles:
    """Write cluster files. `in_parts` has the number of the part of each row."""
    folder.mkdir()
    width, count = made.vectors.shape[1], len(made.centroids)
    rows = np.zeros(len(in_parts), np.int32)
    for part in np.unique(in_parts):
        rows[in_parts == part] = np.arange((in_parts == part).sum())
    number = bin_numbers(bins, made.clusters, made.keys)
    schema = vector_schema(width).append(pa.field("part", pa.int32())).remove(0)
    for one in bins:
        with parts.writing(str(folder / f"{one.name}.arrow"), schema) as file:
            for cluster in range(one.first, one.end):
                at = np.flatnonzero((number == one.number) & (made.clusters == cluster))
                at = at[np.argsort(made.keys[at])]
                columns = {
                    "key": made.keys[at], "row": rows[at], "distance": np.zeros(len(at), "f4"),
                    "label": np.zeros(len(at), np.uint64), "vector": halves(made.vectors[at]),
                    "part": in_parts[at].astype(np.int32),
                }  # fmt: skip
                file.write(pa.table(columns, schema=schema))
    sizes = np.bincount(made.clusters, minlength=count).astype(np.int64)
    return ClusterFiles(str(folder), bins, sizes, width)


def parts_of(in_parts: np.ndarray) -> list[Part]:
    return [Part(n, f"part-{n}", int(rows)) for n, rows in enumerate(np.bincount(in_parts))]
