"""The table of all clusters, which the step keeps beside the parts of the run."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import orjson
import pyarrow as pa

from clustering.kmeans import vectors
from clustering.kmeans.levels import Level
from clustering.kmeans.quality import Quality
from manifests.storage import parts
from manifests.storage.file_entry import FileEntry

ENDING = ".clusters.arrow"
"""The end of the name of the table; it begins with the name of the first part."""


class ClusterTable(NamedTuple):
    """`rows`: one for each cluster of each level, see `cluster_table`. `quality`: figures about the
    lowest level, by name."""

    rows: pa.Table
    quality: dict[str, Any]


def cluster_table(
    centroids: np.ndarray, levels: list[Level], sizes: np.ndarray, quality: Quality
) -> ClusterTable:
    """Returns the table of clusters: `id`, `level` (1: the clusters of records; 2: clusters of
    these clusters; and so on), `parent` (`id` on the level above; null on the highest), `size` in
    records, `mean_distance` of the records to the centroid (null above level 1), and `centroid`."""
    tables = [_level_table(1, centroids, sizes, levels[:1], quality.distances)]
    for number, level in enumerate(levels):
        sizes = np.bincount(level.of_below, sizes, len(level.centroids)).astype(np.int64)
        above = levels[number + 1 : number + 2]
        distances = np.full(len(sizes), np.nan)
        tables.append(_level_table(number + 2, level.centroids, sizes, above, distances))
    first = np.asarray(tables[0]["size"])
    figures = {
        "clusters": len(first),
        "empty": int((first == 0).sum()),
        "records": int(first.sum()),
        "smallest": int(first.min()),
        "median": float(np.median(first)),
        "largest": int(first.max()),
        "inertia": quality.inertia,
        "silhouette": quality.silhouette,
        "purity": quality.purity,
    }
    return ClusterTable(pa.concat_tables(tables).combine_chunks(), figures)


def _level_table(
    level: int, centroids: np.ndarray, sizes: np.ndarray, above: list[Level], means: np.ndarray
) -> pa.Table:
    count = len(centroids)
    parent = pa.array(above[0].of_below) if above else pa.nulls(count, pa.int32())
    return pa.table(
        {
            "id": pa.array(np.arange(count, dtype=np.int32)),
            "level": pa.array(np.full(count, level, np.int32)),
            "parent": parent,
            "size": pa.array(sizes.astype(np.int64)),
            "mean_distance": pa.array(means.astype(np.float32), mask=np.isnan(means)),
            "centroid": vectors.lists(centroids),
        }
    )


def write_table(uri: str, table: ClusterTable, durable: bool = True) -> FileEntry:
    """Writes the table to a file. The figures about its quality are in the metadata of the schema,
    as JSON under `quality`."""
    rows = table.rows.replace_schema_metadata({"quality": orjson.dumps(table.quality)})
    return parts.write(uri, rows.schema, [rows], durable=durable)


def read_table(uri: str) -> ClusterTable:
    """Reads the table that a run keeps."""
    rows = parts.read_checked(uri)
    return ClusterTable(rows, orjson.loads(rows.schema.metadata[b"quality"]))
