"""Images as they are shown: their sizes with Exif's orientation applied."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

TRANSPOSED = (5, 6, 7, 8)
"""Orientations in which width and height change places (Exif 2.32, tag 0x0112)."""


def shown_sizes(media: pa.Array) -> np.ndarray:
    """(n, 2) float64 of flat media: width and height in pixels as shown, nan where unknown.

    One whose orientation nobody looked at is shown as it is stored.
    """
    sizes = np.stack([_side(media, "width"), _side(media, "height")], axis=1)
    turned = np.isin(np.asarray(pc.struct_field(media, "orientation").fill_null(1)), TRANSPOSED)
    shown: np.ndarray = np.where(turned[:, None], sizes[:, ::-1], sizes)
    return shown


def _side(media: pa.Array, name: str) -> np.ndarray:
    """As float64, nan where it is unknown or nothing."""
    side = np.asarray(pc.struct_field(media, name).cast(pa.float64()).fill_null(np.nan))
    return np.where(side > 0, side, np.nan)
