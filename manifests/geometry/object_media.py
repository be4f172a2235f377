"""The medium of each object, and the size of its image as it is shown."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from manifests.geometry.shown_sizes import shown_sizes
from manifests.record import media_lists
from manifests.record.objects import Objects


def object_media(objects: Objects, media: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Returns (n,) int64: the index of each object's medium among all media of the batch; -1 if the
    object has no medium.

    If an object has no `media` index and its record has exactly one medium, the object belongs to
    that medium. If the index is out of range in the record, the result is -1.
    """
    offsets, _ = media_lists(media)
    count = np.diff(offsets)[objects.rows]
    index = objects.field("media")
    number = np.asarray(index.fill_null(0)).astype(np.int64)
    known = (number >= 0) & (number < count) & (np.asarray(index.is_valid()) | (count == 1))
    return np.where(known, offsets[:-1][objects.rows] + number, -1)


def object_image_sizes(objects: Objects, media: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Returns (n, 2) float64: width and height in pixels of each object's medium; nan if
    unknown."""
    _, flat = media_lists(media)
    sizes = np.concatenate([shown_sizes(flat), [[np.nan, np.nan]]])  # the last row is for -1
    per_object: np.ndarray = sizes[object_media(objects, media)]
    return per_object
