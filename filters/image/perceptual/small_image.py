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
"""The side in pixels and the size in bytes of the square of colours (our choice). The kernel
`look_alike` compares squares of this size."""
_COPIED_PIXELS = 4 << 20
"""The number of pixels of a large image that are copied and reduced at once (our choice: 16 MB)."""
_REDUCED_FIRST = 1.5
"""A fast method first reduces the image to this many times the size of the square, or more (our
choice: larger values cost more and find no more copies)."""


class SmallImage(NamedTuple):
    """An image as two small squares. `luma`: uint8 (side, side). `colours`: RGB, uint8
    (COLOURS_SIDE, COLOURS_SIDE, 3)."""

    luma: np.ndarray
    colours: np.ndarray


def small_image(decoded: Decoded, side: int) -> SmallImage:
    """Returns an image reduced to two small squares, without its plain borders and turned upright.
    `side` is the side in pixels of the square of luma.

    Each value is a weighted mean of a part of the image. So an image gives nearly the same squares
    at full size, at half the size, and at a smaller scale that its codec decodes.
    """
    from manifests.kernels.plain_borders import without_borders
    from manifests.kernels.squares import colour_square, luma_square

    width, height = decoded.extent
    columns, rows = (max(1, int(length / (_REDUCED_FIRST * side))) for length in (width, height))
    pixels = _reduced(decoded.image, columns, rows)
    left, top, right, bottom = without_borders(pixels)
    box = left, top, min(right, width / columns), min(bottom, height / rows)
    squares = luma_square(pixels, box, side), colour_square(pixels, box, COLOURS_SIDE)
    return SmallImage(*(pixels_as_shown(square, decoded.orientation) for square in squares))


def _reduced(image: Image, columns: int, rows: int) -> np.ndarray:
    """Returns the mean colour of each block of `columns` x `rows` pixels, uint8 (height, width, 4).

    A large image is reduced some rows of blocks at a time, so that it is not copied as a whole.
    """
    from manifests.kernels.block_colours import block_colours

    if columns * rows == 1:
        return _pixels(image)
    width, height = image.size
    step = rows * max(1, _COPIED_PIXELS // (rows * width))
    if step >= height:
        return block_colours(_pixels(image), (columns, rows))
    strips = (
        image.crop((0, top, width, min(height, top + step))) for top in range(0, height, step)
    )
    return np.concatenate([block_colours(_pixels(strip), (columns, rows)) for strip in strips])


def _pixels(image: Image) -> np.ndarray:
    """Returns the pixels of an RGB image, uint8 (height, width, 4). The fourth byte of a pixel is
    not used.

    The array shares the memory of the image. Only an image of more than 16 MB, which Pillow stores
    in several pieces of memory, is copied.
    """
    try:
        flat = np.asarray(pa.array(image).flatten())
    except ValueError:
        flat = np.frombuffer(image.tobytes("raw", "RGBX"), np.uint8)
    return flat.reshape(image.height, image.width, 4)
