"""The media that objects are on, and their sizes as they are shown."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from manifests.geometry.shown_sizes import shown_sizes
from manifests.record import media_lists
from manifests.record.objects import Objects


def object_media(objects: Objects, media: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """(n,) int64: the flat medium that each object is on, -1 where it says none there is.

    An object that names no medium is on the only one of its record.
    """
    offsets, _ = media_lists(media)
    many = np.diff(offsets)[objects.rows]
    named = objects.field("media")
    number = np.asarray(named.fill_null(0)).astype(np.int64)
    known = (number >= 0) & (number < many) & (np.asarray(named.is_valid()) | (many == 1))
    return np.where(known, offsets[:-1][objects.rows] + number, -1)


def object_image_sizes(objects: Objects, media: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """(n, 2) float64: width and height in pixels of each object's medium; nan where unknown."""
    _, flat = media_lists(media)
    found: np.ndarray = np.concatenate([shown_sizes(flat), [[np.nan, np.nan]]])[
        object_media(objects, media)
    ]
    return found
