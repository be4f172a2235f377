"""The mean colours of blocks of pixels."""

import numpy as np
import pytest
from PIL import Image

from manifests.kernels.block_colours import block_colours


def exact(pixels: np.ndarray, block: tuple[int, int]) -> np.ndarray:
    """The same means by numpy, not rounded, one block at a time: float64 (rows, columns, 3)."""
    height, width = pixels.shape[:2]
    rows = [pixels[y : y + block[1], :, :3] for y in range(0, height, block[1])]
    return np.array(
        [[row[:, x : x + block[0]].mean((0, 1)) for x in range(0, width, block[0])] for row in rows]
    )


@pytest.mark.parametrize(
    ("size", "block"),
    [
        ((1, 1), (1, 1)),
        ((5, 4), (2, 4)),
        ((64, 48), (13, 10)),
        ((7, 300), (3, 299)),
        ((33, 1030), (40, 2000)),
        ((640, 480), (13, 10)),
    ],
)
def test_means_are_those_of_numpy(size: tuple[int, int], block: tuple[int, int]) -> None:
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 256, (size[1], size[0], 4), np.uint8)
    means = block_colours(pixels, block)
    assert np.abs(means[..., :3] - exact(pixels, block)).max() <= 0.5 + 1e-9
    assert (means[..., 3] == 0).all()


def test_the_brightest_image_does_not_overflow() -> None:
    pixels = np.full((2000, 50, 4), 255, np.uint8)
    assert (block_colours(pixels, (50, 1000))[..., :3] == 255).all()


def test_means_are_within_a_level_of_those_of_pillow() -> None:
    draw = np.random.default_rng(1)
    pixels = draw.integers(0, 256, (97, 131, 4), np.uint8)
    reduced = np.asarray(Image.fromarray(pixels[..., :3].copy()).reduce((7, 5))).astype(int)
    assert np.abs(reduced - block_colours(pixels, (7, 5))[..., :3]).max() <= 1
