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
    from PIL.Image import Resampling

    block = tuple(max(1, int(length / (_REDUCED_FIRST * side))) for length in decoded.extent)
    width, height = (length / step for length, step in zip(decoded.extent, block, strict=True))
    luma, colours, (left, top, right, bottom) = _reduced(decoded.image, block)
    box = (left, top, min(right, width), min(bottom, height))
    squares = (
        luma.resize((side, side), Resampling.BILINEAR, box=box),
        colours.resize((COLOURS_SIDE, COLOURS_SIDE), Resampling.BOX, box=box),
    )
    return SmallImage(
        *(pixels_as_shown(np.asarray(square), decoded.orientation) for square in squares)
    )


def _reduced(image: Image, block: tuple[int, ...]) -> tuple[Image, Image, tuple[float, ...]]:
    """Returns the mean luma and the mean RGB of each block of pixels, as two images, and their box
    without plain borders. `block` is the width and height of a block in pixels."""
    from PIL.Image import frombytes

    from manifests.kernels.block_colours import block_colours
    from manifests.kernels.plain_borders import without_borders

    width, height = block
    if width * height == 1:
        pixels = _pixels(image).reshape(image.height, image.width, 4)
        return image.convert("L"), image, without_borders(pixels)
    means = block_colours(_pixels(image), (width, height))
    size = means.shape[1], means.shape[0]
    luma = frombytes("L", size, means[:, :, 3].tobytes())
    colours = frombytes("RGB", size, means.tobytes(), "raw", "RGBX")
    return luma, colours, without_borders(means)


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
