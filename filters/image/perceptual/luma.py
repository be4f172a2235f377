"""An image as a small square of luma, upright: what its perceptual hash is made of."""

from __future__ import annotations

import numpy as np

from manifests.media import Decoded

_REDUCED_FIRST = 1.5
"""How many times larger than the square an image is left by the fast reduction that comes first
(Pillow's `reducing_gap`; ours: larger values cost more and find no more copies)."""


def small_luma(decoded: Decoded, side: int) -> np.ndarray:
    """The luma of an image stretched to a square: uint8 (side, side), as the image is shown.

    Each value is a weighted mean over its part of the image, so that an image gives nearly the
    same square at full size, at half, or as its codec reduced it.
    """
    from PIL import Image

    small = decoded.image.resize(
        (side, side),
        Image.Resampling.BILINEAR,
        box=(0, 0, *decoded.extent),
        reducing_gap=_REDUCED_FIRST,
    )
    luma = np.frombuffer(small.convert("L").tobytes(), np.uint8).reshape(side, side)
    return upright(luma, decoded.orientation)


def upright(stored: np.ndarray, orientation: int) -> np.ndarray:
    """Pixels (rows, columns) as they are shown, by their Exif orientation.

    >>> upright(np.array([[1, 2], [3, 4]]), 6).tolist()
    [[3, 1], [4, 2]]
    """
    turned = stored.T if orientation >= 5 else stored
    flipped_rows = orientation in (3, 4, 7, 8)
    flipped_columns = orientation in (2, 3, 6, 7)
    return turned[:: -1 if flipped_rows else 1, :: -1 if flipped_columns else 1]
