"""Sizes of images as an image viewer shows them: with Exif's orientation applied."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

TRANSPOSED = (5, 6, 7, 8)
"""The orientations that exchange width and height (Exif 2.32, tag 0x0112)."""
UNKNOWN_SIZE = (
    "the width and height of an image are not known: read the source with its image files"
)
"""The error of a record for whose images a step needs sizes."""


def shown_sizes(media: pa.Array) -> np.ndarray:
    """Returns (n, 2) float64: the width and height in pixels of n media structs, with Exif's
    orientation applied; nan if unknown.

    A medium without an orientation counts as upright. A medium of 640 x 480 with orientation 6
    gives `[480, 640]`.
    """
    sizes = np.stack([_side(media, "width"), _side(media, "height")], axis=1)
    transposed = np.isin(np.asarray(pc.struct_field(media, "orientation").fill_null(1)), TRANSPOSED)
    shown: np.ndarray = np.where(transposed[:, None], sizes[:, ::-1], sizes)
    return shown


def _side(media: pa.Array, name: str) -> np.ndarray:
    """Returns (n,) float64: the width or height of each medium in pixels; nan if it is null, 0 or
    negative. `name` is "width" or "height"."""
    side = np.asarray(pc.struct_field(media, name).cast(pa.float64()).fill_null(np.nan))
    return np.where(side > 0, side, np.nan)
