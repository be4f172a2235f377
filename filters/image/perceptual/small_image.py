"""Reduces an image to two small squares: one of luma, from which its perceptual hash is computed,
and one of colours, which are compared if two hashes are near."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa

from manifests.geometry.exif_orientation import pixels_as_shown
from manifests.media import Decoded

if TYPE_CHECKING:
    from PIL.Image import Image


COLOURS_SIDE = 8
COLOURS_BYTES = COLOURS_SIDE * COLOURS_SIDE * 3
_REDUCED_FIRST = 1.5
"""A fast method first reduces the image to this many times the size of the square, or more (our
choice: larger values cost more and find no more copies)."""


class SmallImage(NamedTuple):
    """An image as two small squares. `luma`: uint8 (side, side). `colours`: RGB, uint8
    (COLOURS_SIDE, COLOURS_SIDE, 3)."""

    luma: np.ndarray
    colours: np.ndarray


def small_image(decoded: Decoded, side: int) -> SmallImage:
    """Returns an image without its plain borders, reduced to small squares and turned upright;
    `side` is that of the luma.

    Each value is a weighted mean of a part of the image. So an image gives nearly the same squares
    at full size, at half the size, and at a smaller scale that its codec decodes.
    """
    from manifests.kernels.block_colours import block_colours
    from manifests.kernels.plain_borders import without_borders
    from manifests.kernels.squares import colour_square, luma_square

    width, height = decoded.extent
    columns, rows = (max(1, int(length / (_REDUCED_FIRST * side))) for length in (width, height))
    pixels = _pixels(decoded.image)
    if columns * rows > 1:
        pixels = block_colours(pixels, (columns, rows))
    left, top, right, bottom = without_borders(pixels)
    box = left, top, min(right, width / columns), min(bottom, height / rows)
    squares = luma_square(pixels, box, side), colour_square(pixels, box, COLOURS_SIDE)
    return SmallImage(*(pixels_as_shown(square, decoded.orientation) for square in squares))


def _pixels(image: Image) -> np.ndarray:
    """Returns the pixels of an RGB image, uint8 (height, width, 4). The fourth byte of a pixel is
    not used.

    The array shares the memory of the image, except for an image that Pillow stores in several
    pieces of memory (more than 16 MB): this is copied.
    """
    try:
        flat = np.asarray(pa.array(image).flatten())
    except ValueError:
        flat = np.frombuffer(image.tobytes("raw", "RGBX"), np.uint8)
    return flat.reshape(image.height, image.width, 4)
