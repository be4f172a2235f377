"""Sizes of the pictures that objects are on, as they are shown."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests.objects import Objects
from manifests.record import media_lists

SIDEWAYS = 5
"""From this orientation of Exif on (5 to 8) width and height change places (Exif 2.32)."""


def media_of(objects: Objects, media: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """(n,) int64: the flat medium that each object is on, -1 where it says none there is.

    An object that names no medium is on the only one of its record.
    """
    offsets, _ = media_lists(media)
    many = np.diff(offsets)[objects.rows]
    named = objects.field("media")
    number = np.asarray(named.fill_null(0)).astype(np.int64)
    known = (number >= 0) & (number < many) & (np.asarray(named.is_valid()) | (many == 1))
    return np.where(known, offsets[:-1][objects.rows] + number, -1)


def shown_sizes(objects: Objects, media: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """(n, 2) float64: width and height in pixels of each object's medium; nan where unknown."""
    _, flat = media_lists(media)
    where = media_of(objects, media)
    turned = pc.greater_equal(pc.struct_field(flat, "orientation"), SIDEWAYS).fill_null(False)
    sizes = np.stack([_side(flat, "width"), _side(flat, "height")], axis=1)
    sizes = np.where(np.asarray(turned)[:, None], sizes[:, ::-1], sizes)
    found: np.ndarray = np.concatenate([sizes, [[np.nan, np.nan]]])[where]
    return found


def _side(flat: pa.Array, name: str) -> np.ndarray:
    """As float64, nan where it is unknown or nothing."""
    side = np.asarray(pc.struct_field(flat, name).cast(pa.float64()).fill_null(np.nan))
    return np.where(side > 0, side, np.nan)
