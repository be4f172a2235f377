"""The mean colours of equal parts of a box."""

import numpy as np
import pytest

from manifests.kernels.mean_colours import mean_colours


def reference(pixels: np.ndarray, box: tuple[float, ...], side: int) -> np.ndarray:
    """The same means by weights of whole rows and columns."""
    weights = []
    for low, high, size in ((box[1], box[3], len(pixels)), (box[0], box[2], pixels.shape[1])):
        edges = np.linspace(low, high, side + 1)
        places = np.arange(size)
        shares = np.minimum(edges[1:, None], places + 1) - np.maximum(edges[:-1, None], places)
        weights.append(np.clip(shares, 0, None))
    sums = np.einsum("ay,yxc,bx->abc", weights[0], pixels[..., :3].astype(float), weights[1])
    area = (box[2] - box[0]) * (box[3] - box[1]) / side**2
    means: np.ndarray = sums / area
    return means


@pytest.mark.parametrize("box", [(0, 0, 60, 40), (0, 0, 59.3, 39.2), (7.4, 3, 50.5, 31.25),
                                 (20, 10, 23, 12.5)])  # fmt: skip
def test_means_are_those_of_the_reference(box: tuple[float, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 4), np.uint8)
    for side in (1, 3, 8):
        found = mean_colours(pixels, box, side).astype(float)
        assert np.abs(found - reference(pixels, box, side)).max() <= 0.51


def test_the_brightest_colour_does_not_overflow() -> None:
    pixels = np.full((40, 60, 4), 255, np.uint8)
    assert (mean_colours(pixels, (0.3, 0.7, 59.3, 39.2), 8) == 255).all()
