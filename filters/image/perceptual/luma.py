"""An image as a small square of luma, upright: what its perceptual hash is made of."""

from __future__ import annotations

import numpy as np

from manifests.geometry.orientation import pixels_as_shown
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
    return pixels_as_shown(luma, decoded.orientation)
