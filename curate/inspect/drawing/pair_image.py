"""Draws two images side by side, with a line of text above."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE, MARGIN, TEXT = 320, 8, 16
"""The longer side of each image, the space around it, and the height of the text, in pixels (our
choice)."""


def pair_image(one: Image, other: Image, text: str) -> Image:
    """Return a new image with both images side by side, each at most SIDE pixels wide and high, and
    the line `text` above the images."""
    from PIL import Image, ImageDraw, ImageFont

    from manifests.media.pixels import rgb

    width, height = 2 * SIDE + 3 * MARGIN, SIDE + TEXT + 3 * MARGIN
    canvas = Image.new("RGB", (width, height), "#d0d0d0")
    for number, image in enumerate((one, other)):
        small = rgb(image).copy()
        small.thumbnail((SIDE, SIDE))
        canvas.paste(small, (MARGIN + number * (SIDE + MARGIN), TEXT + 2 * MARGIN))
    ImageDraw.Draw(canvas).text((MARGIN, MARGIN), text, "black", ImageFont.load_default(TEXT))
    return canvas
