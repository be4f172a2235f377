"""Small squares of luma and of colours."""

import numpy as np
import pytest
from PIL import Image

from manifests.kernels.squares import colour_square, luma_square

SIZES = [(640, 480), (50, 48), (33, 31), (20, 70), (8, 8), (3, 5), (1, 1)]


def drawn(width: int, height: int) -> np.ndarray:
    draw = np.random.default_rng(width)
    return draw.integers(0, 256, (height, width, 4), np.uint8)


@pytest.mark.parametrize("size", SIZES)
def test_luma_is_that_of_pillow(size: tuple[int, int]) -> None:
    pixels, (width, height) = drawn(*size), size
    image = Image.fromarray(pixels[..., :3].copy()).convert("L")
    for box in ((0.0, 0.0, width, height), (0.25 * width, 0.3 * height, 0.9 * width, height)):
        theirs = image.resize((16, 16), Image.Resampling.BILINEAR, box=box)
        ours = luma_square(pixels, box, 16).astype(int)
        assert np.abs(ours - np.asarray(theirs)).max() <= 1  # Pillow rounds between two passes


@pytest.mark.parametrize("size", SIZES)
def test_colours_are_the_means_of_equal_rectangles(size: tuple[int, int]) -> None:
    pixels, (width, height) = drawn(*size), size
    # each pixel as 8 x 8 equal ones, so that the edges of the rectangles fall between pixels
    large = pixels[..., :3].repeat(8, axis=0).repeat(8, axis=1).astype(float)
    means = large.reshape(8, height, 8, width, 3).mean((1, 3))
    ours = colour_square(pixels, (0.0, 0.0, width, height), 8)
    assert np.abs(ours - means).max() <= 0.5 + 1e-9


def test_a_part_has_the_colours_of_its_pixels() -> None:
    pixels = np.zeros((10, 10, 4), np.uint8)
    pixels[:, 4:] = 200
    assert (colour_square(pixels, (4.0, 0.0, 10.0, 10.0), 2) == 200).all()
    halves = colour_square(pixels, (3.0, 0.0, 5.0, 10.0), 1)
    assert halves.tolist() == [[[100, 100, 100]]]


def test_a_white_image_is_white() -> None:
    pixels = np.full((480, 640, 4), 255, np.uint8)
    assert (luma_square(pixels, (0.0, 0.0, 640.0, 480.0), 32) == 255).all()
