"""Reduces an image to a small square of gray values (luma), from which its perceptual hash is
computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from manifests.geometry.exif_orientation import pixels_as_shown
from manifests.media import Decoded

if TYPE_CHECKING:
    from PIL.Image import Image

_REDUCED_FIRST = 1.5
"""A fast method first reduces the image to this many times the size of the square, or more (our
choice: larger values cost more and find no more copies)."""


def small_luma(decoded: Decoded, side: int) -> np.ndarray:
    """Returns the luma of an image, resized to a square and turned upright: uint8 (side, side).

    Each value is a weighted mean of a part of the image. So an image gives nearly the same square
    at full size, at half the size, and at a smaller scale that its codec decodes.
    """
    from PIL.Image import Resampling

    block = tuple(max(1, int(length / (_REDUCED_FIRST * side))) for length in decoded.extent)
    width, height = (length / step for length, step in zip(decoded.extent, block, strict=True))
    luma = _reduced_luma(decoded.image, block)
    small = luma.resize((side, side), Resampling.BILINEAR, box=(0, 0, width, height))
    square = np.frombuffer(small.tobytes(), np.uint8).reshape(side, side)
    return pixels_as_shown(square, decoded.orientation)


def _reduced_luma(image: Image, block: tuple[int, ...]) -> Image:
    """Returns an image of the mean luma of each block of pixels; `block` is its width and height in
    pixels."""
    from PIL.Image import fromarray

    from manifests.kernels.block_luma import block_luma

    width, height = block
    if width * height == 1:
        return image.convert("L")
    return fromarray(block_luma(_pixels(image), (width, height)))


def _pixels(image: Image) -> np.ndarray:
    """Returns the pixels of an RGB image, uint8 (height, 4 x width), with an unused fourth byte for
    each pixel.

    The array shares the memory of the image, except for an image that Pillow stores in several
    pieces of memory (more than 16 MB): this is copied.
    """
    try:
        flat = np.asarray(pa.array(image).flatten())
    except ValueError:
        flat = np.frombuffer(image.tobytes("raw", "RGBX"), np.uint8)
    return flat.reshape(image.height, 4 * image.width)
