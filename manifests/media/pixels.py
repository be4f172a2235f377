"""The pixels of a decoded image as 8-bit RGB, as an image viewer shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

_BLOCK_PIXELS = 1 << 20
"""Number of pixels that are scaled at once (our choice), so that a large image needs little
memory."""
_BITS_PER_SAMPLE, _PHOTOMETRIC = 258, 262  # TIFF 6.0, pages 29 and 37
_WHITE_IS_ZERO = 0
_PLAIN = ("1", "L", "P", "RGB")


def rgb(image: Image) -> Image:
    """Converts an image to RGB. A transparent image gets a white background, as Qwen's processors
    do.

    Gray values of more than 8 bits are scaled to 0 to 255, see `_gray`. CMYK is converted without a
    colour profile: red = 255 - cyan - black, and so on.
    """

    if image.mode[0] in "IF":
        image = _gray(image)
    if image.mode == "La":  # alpha in a TIFF that is already multiplied
        image = image.convert("LA")
    if image.has_transparency_data:
        return _on_white(image)
    return image if image.mode == "RGB" else image.convert("RGB")


def is_plain(image: Image) -> bool:
    """Returns whether all decoders give the same pixels for an image. They do if the image has one
    frame, is gray or RGB with at most 8 bits, and has no transparency."""
    has_one_frame = getattr(image, "n_frames", 1) == 1
    return image.mode in _PLAIN and not image.has_transparency_data and has_one_frame


def _on_white(image: Image) -> Image:
    from PIL import Image as pillow

    shown = pillow.new("RGB", image.size)
    rows = _block_rows(image.width)
    for top in range(0, image.height, rows):
        block = image.crop((0, top, image.width, min(image.height, top + rows))).convert("RGBA")
        background = pillow.new("RGBA", block.size, "white")
        shown.paste(pillow.alpha_composite(background, block).convert("RGB"), (0, top))
    return shown


def _block_rows(width: int) -> int:
    return max(1, _BLOCK_PIXELS // max(1, width))


def _gray(image: Any) -> Image:
    """Scales gray values of 16 bits, of 32 bits or of floating point to 8 bits: the lowest value of
    their range becomes 0, the highest 255. In a TIFF whose lowest value is white, the lowest value
    becomes 255, the highest 0.

    The range is 0 to 65535 for unsigned integers of 16 bits, and 0 to 4095 for a TIFF of 12 bits;
    so a 16-bit copy of an 8-bit image has the pixels of the original. For signed integers, integers
    of 32 bits and floating point, the range is the lowest to the highest value of the image. If all
    floating point values are in 0 to 1, the range is 0 to 1. NaN and infinity become the lowest
    value.
    """
    from PIL import Image as pillow

    values = np.asarray(image)
    low, high = _range(image, values)
    scaled = np.empty(values.shape, np.uint8)
    rows = _block_rows(values.shape[1])
    for top in range(0, len(values), rows):
        block = values[top : top + rows].astype(np.float64)
        block[~np.isfinite(block)] = low
        scaled[top : top + rows] = np.rint((block - low) * 255 / (high - low)).clip(0, 255)
    if image.format == "TIFF" and image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        scaled = 255 - scaled
    gray = pillow.fromarray(scaled)
    if "transparency" in image.info:
        gray.putalpha(pillow.fromarray(255 * (values != image.info["transparency"]).view(np.uint8)))
    return gray


def _range(image: Any, values: np.ndarray) -> tuple[float, float]:
    """Returns the gray value that is shown as black, and the gray value that is shown as white.
    `values` are the pixels of `image`."""
    if image.mode.startswith("I;16"):
        tags = image.tag_v2 if image.format == "TIFF" else {}
        return 0, 2 ** tags.get(_BITS_PER_SAMPLE, (16,))[0] - 1
    if image.mode == "I" and image.format in ("PNG", "PPM"):
        return 0, 65535
    low, high = _finite_range(values)
    if image.mode == "F" and low >= 0 and high <= 1:
        return 0, 1
    return low, max(high, np.nextafter(low, np.inf))


def _finite_range(values: np.ndarray) -> tuple[float, float]:
    """Returns the lowest and the highest of the values, without NaN and infinity; 0 and 1 if no
    value is finite."""
    rows = _block_rows(values.shape[1])
    found: list[float] = []
    for top in range(0, len(values), rows):
        block = values[top : top + rows]
        numbers = block[np.isfinite(block)]
        found += [float(numbers.min()), float(numbers.max())] if numbers.size else []
    return (min(found), max(found)) if found else (0.0, 1.0)
