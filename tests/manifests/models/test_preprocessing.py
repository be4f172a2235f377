"""Preprocessing: the pixels that a model was trained on, by its own configuration."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from PIL import Image

from manifests.errors import MediaError
from manifests.models.image_processor import from_config
from manifests.models.preprocessing import Preprocessing

SIGLIP = {
    "do_normalize": True, "do_rescale": True, "do_resize": True, "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5], "resample": 2, "rescale_factor": 1 / 255,
    "size": {"height": 224, "width": 224},
}  # fmt: skip
CLIP = {
    "crop_size": {"height": 224, "width": 224}, "do_center_crop": True, "do_normalize": True,
    "do_resize": True, "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711], "resample": 3,
    "size": {"shortest_edge": 224},
}  # fmt: skip


def config(content: Any) -> Preprocessing:
    return from_config(json.dumps(content).encode(), "preprocessor_config.json")


def test_a_configuration_that_resizes_to_a_square() -> None:
    read = config(SIGLIP)
    assert (read.resize, read.crop, read.resampling) == ((224, 224), None, "BILINEAR")
    white = read.tensor(Image.new("RGB", (300, 200), "white"))
    assert white.shape == (3, 224, 224)
    np.testing.assert_allclose(white, 1.0, atol=1e-6)


def test_a_configuration_that_crops_the_centre() -> None:
    read = config(CLIP)
    assert (read.resize, read.crop, read.resampling) == (224, (224, 224), "BICUBIC")
    image = Image.new("RGB", (448, 224), "black")
    image.paste("white", (112, 0, 336, 224))
    tensor = read.tensor(image)
    expected = (1.0 - np.array(CLIP["image_mean"])) / np.array(CLIP["image_std"])
    np.testing.assert_allclose(tensor[:, 100, 100], expected, rtol=1e-5)
    assert tensor.std(axis=(1, 2)).max() < 0.2


def test_an_image_that_is_too_long_and_thin_is_refused_before_it_is_resized() -> None:
    thin = Image.new("RGB", (2, 20000))
    with pytest.raises(MediaError, match=r"2 x 20000 pixels is too long and thin .* 224 x 2240000"):
        config(CLIP).tensor(thin)
    assert config(SIGLIP).tensor(thin).shape == (3, 224, 224)
