"""Finds the image that each annotated object is on, and the size of this image as it is shown."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from manifests.geometry.shown_sizes import shown_sizes
from manifests.record import media_lists
from manifests.record.objects import Objects

NO_IMAGE = "an object is on no image of its record: correct its field `media` in the source"
"""The error of a record with an object for whose image a step needs a size or a camera."""


def object_media(objects: Objects, media: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Returns (n,) int64: for each object, the index of its image among all images and videos of
    the batch; -1 if it has none.

    The field `media` of an object is an index within the object's record. If the field is null and
    the record has exactly one image or video, the result is this image or video. If the record has
    none or several, or if the index is out of range, the result is -1.
    """
    offsets, _ = media_lists(media)
    count = np.diff(offsets)[objects.rows]
    index = objects.field("media")
    number = np.asarray(index.fill_null(0)).astype(np.int64)
    known = (number >= 0) & (number < count) & (np.asarray(index.is_valid()) | (count == 1))
    return np.where(known, offsets[:-1][objects.rows] + number, -1)


def object_image_sizes(objects: Objects, media: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Returns (n, 2) float64: the width and height in pixels of the image that each object is on,
    as the image is shown; nan if unknown."""
    _, flat = media_lists(media)
    sizes = np.concatenate([shown_sizes(flat), [[np.nan, np.nan]]])  # the last row is for -1
    per_object: np.ndarray = sizes[object_media(objects, media)]
    return per_object
