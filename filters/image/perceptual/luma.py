"""An image as a small square of luma, from which its perceptual hash is computed."""

from __future__ import annotations

import numpy as np

from manifests.geometry.exif_orientation import pixels_as_shown
from manifests.media import Decoded

_REDUCED_FIRST = 1.5
"""A fast method first reduces the image to this many times the size of the square, or more
(Pillow's `reducing_gap`; ours: larger values cost more and find no more copies)."""


def small_luma(decoded: Decoded, side: int) -> np.ndarray:
    """Returns the luma of an image, resized to a square and turned upright: uint8 (side, side).

    Each value is a weighted mean of a part of the image. So an image gives nearly the same square
    at full size, at half the size, and at a smaller scale that its codec decodes.
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
