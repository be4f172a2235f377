"""Plain borders are found in pairs, to a part of a pixel, and nothing else is taken for one."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from manifests.kernels.plain_borders import without_borders


def photograph(seed: int = 1, width: int = 60, height: int = 40) -> np.ndarray:
    """Random colours that are nowhere plain."""
    return np.random.default_rng(seed).integers(40, 200, (height, width, 3), np.uint8)


def framed(pixels: np.ndarray, border: tuple[int, int, int, int], colour: str) -> np.ndarray:
    """The image with borders at the left, top, right and bottom, in pixels."""
    return np.array(ImageOps.expand(Image.fromarray(pixels), border, colour))


@pytest.mark.parametrize("colour", ["black", "white", "#727272", "#ff0000"])
@pytest.mark.parametrize("border", [(0, 7, 0, 7), (9, 0, 12, 0), (4, 4, 4, 4), (1, 3, 2, 5)])
def test_borders_are_cut_off(border: tuple[int, int, int, int], colour: str) -> None:
    pixels = framed(photograph(), border, colour)
    left, top, right, bottom = border
    height, width = pixels.shape[:2]
    found = without_borders(pixels)
    # To a small part, the first line of random colours may be taken for a mixture.
    assert found == pytest.approx((left, top, width - right, height - bottom), abs=0.2)


def test_a_border_within_a_border_is_cut_off_too() -> None:
    pixels = framed(framed(photograph(), (0, 5, 0, 5), "black"), (3, 3, 3, 3), "white")
    assert without_borders(pixels) == pytest.approx((3, 8, 63, 48), abs=0.2)


def test_noise_of_an_encoder_does_not_hide_a_border() -> None:
    pixels = framed(photograph(), (0, 7, 0, 7), "black").astype(int)
    pixels += np.random.default_rng(2).integers(0, 12, pixels.shape)
    found = without_borders(pixels.astype(np.uint8))
    assert found == pytest.approx((0, 7, 60, 47), abs=0.2)


@pytest.mark.parametrize("part", [0.25, 0.5, 0.75])
def test_a_border_may_end_within_a_pixel(part: float) -> None:
    columns = np.arange(40)[None, :, None]
    inside = np.broadcast_to(120 + 2 * columns, (30, 40, 3)).astype(np.uint8).copy()
    pixels = framed(inside, (0, 6, 0, 6), "black")
    for line, behind in ((6, 7), (-7, -8)):
        pixels[line] = ((1 - part) * pixels[behind]).astype(np.uint8)
    found = without_borders(pixels)
    assert found == pytest.approx((0, 6 + part, 40, 36 - part), abs=0.1)


def test_what_is_no_border_stays() -> None:
    plain = np.full((40, 60, 3), 90, np.uint8)
    sky = photograph()
    sky[:15] = 250
    other_colours = framed(framed(photograph(), (0, 6, 0, 0), "black"), (0, 0, 0, 6), "white")
    one_wide = framed(photograph(), (0, 2, 0, 9), "black")
    small = framed(photograph(width=30, height=20), (40, 30, 40, 30), "white")
    text = np.full((60, 60, 3), 255, np.uint8)
    text[20:40:4, 25:30] = 0
    for pixels in (photograph(), plain, sky, other_colours, one_wide, small, text):
        height, width = pixels.shape[:2]
        assert without_borders(pixels) == (0, 0, width, height)
