"""The mean colours and the luma of blocks of pixels."""

import numpy as np
import pytest
from PIL import Image

from manifests.kernels.block_colours import block_colours


def exact(pixels: np.ndarray, block: tuple[int, int]) -> list[list[list[int]]]:
    """The same colours and luma by numpy, one block at a time."""
    height, width = pixels.shape[0], pixels.shape[1] // 4
    colours = pixels.reshape(height, width, 4)[..., :3].astype(np.int64)
    rows = [colours[y : y + block[1]] for y in range(0, height, block[1])]
    blocks = [[row[:, x : x + block[0]] for x in range(0, width, block[0])] for row in rows]
    return [[means(one.reshape(-1, 3)) for one in row] for row in blocks]


def means(pixels: np.ndarray) -> list[int]:
    total, count = pixels.sum(axis=0).tolist(), len(pixels)
    luma = sum(w * level for w, level in zip((19595, 38470, 7471), total, strict=True))
    return [*(round_half_up(level, count) for level in total), round_half_up(luma, count << 16)]


def round_half_up(total: int, count: int) -> int:
    return (total + count // 2) // count


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
def test_colours_and_luma_are_those_of_numpy(size: tuple[int, int], block: tuple[int, int]) -> None:
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 256, (size[1], 4 * size[0]), np.uint8)
    assert block_colours(pixels, block).tolist() == exact(pixels, block)


def test_the_brightest_image_does_not_overflow() -> None:
    pixels = np.full((2000, 4 * 50), 255, np.uint8)
    assert (block_colours(pixels, (50, 1000)) == 255).all()


def test_luma_is_within_two_levels_of_that_of_pillow() -> None:
    draw = np.random.default_rng(1)
    pixels = draw.integers(0, 256, (97, 4 * 131), np.uint8)
    image = Image.fromarray(pixels.reshape(97, 131, 4)[..., :3].copy())
    reduced = np.asarray(image.reduce((7, 5)).convert("L")).astype(int)
    assert np.abs(reduced - block_colours(pixels, (7, 5))[..., 3]).max() <= 2
