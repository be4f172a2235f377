"""Centroids that are fitted, and the files from which tasks read them."""

from __future__ import annotations

import io
from typing import NamedTuple

import numpy as np

from clustering.kmeans.nearest import CellCentroids, Centroids
from manifests import storage


class Fitted(NamedTuple):
    """Fitted centroids (k, width) float32 of unit length. `counts` (k,) int64: how many vectors of
    the sample each had in the last round. If they were fitted in cells: `centres` (cells, width)
    float32, the centroids of the cells, and `cells` (k,) int32, the cell of each centroid."""

    centroids: np.ndarray
    counts: np.ndarray
    centres: np.ndarray | None = None
    cells: np.ndarray | None = None


class Search(NamedTuple):
    """The files of the centroids that a task searches. `probe`: how many cells are searched, if the
    centroids are in cells."""

    uris: tuple[str, ...]
    probe: int

    @classmethod
    def over(cls, fitted: Fitted, uri: str, probe: int = 0) -> Search:
        """Writes the centroids to files whose names begin with `uri`."""
        arrays = [fitted.centroids]
        if fitted.centres is not None and fitted.cells is not None:
            arrays += [fitted.centres, fitted.cells]
        uris = tuple(f"{uri}-{number}.npy" for number in range(len(arrays)))
        for place, array in zip(uris, arrays, strict=True):
            write_array(place, array)
        return cls(uris, probe)

    def open(self) -> Centroids:
        centroids, *in_cells = map(read_array, self.uris)
        if not in_cells:
            return Centroids(centroids)
        centres, cells = in_cells
        return CellCentroids(centroids, centres, cells, self.probe)


def write_array(uri: str, array: np.ndarray) -> None:
    """Writes an array that tasks read. The driver process writes it again after a restart."""
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    storage.write_bytes(uri, file.getvalue(), durable=False)


def read_array(uri: str) -> np.ndarray:
    array: np.ndarray = np.load(io.BytesIO(storage.read_bytes(uri)), allow_pickle=False)
    return array
