"""Preprocessing: the pixels that a model was trained on, by its own configuration."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from PIL import Image

from manifests.errors import InputError
from manifests.models.preprocessing import Preprocessing, from_config

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


def test_sizes_as_plain_numbers_and_steps_that_are_off() -> None:
    read = config({"size": 64, "do_normalize": False, "do_rescale": False})
    assert (read.resize, read.mean, read.std, read.scale) == (64, (0.0,) * 3, (1.0,) * 3, 1.0)
    assert read.tensor(Image.new("RGB", (64, 64), (1, 2, 3)))[:, 0, 0].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    "data", [b"[1]", b'{"size": {}}', b'{"size": 4, "image_mean": [1], "image_std": [1]}']
)
def test_a_file_that_is_no_configuration_is_refused(data: bytes) -> None:
    with pytest.raises(
        InputError, match=r"^p.json: a setting of the preprocessor is missing or not supported"
    ):
        from_config(data, "p.json")


@pytest.mark.parametrize("data", [b"", b"{", b"\xff"])
def test_a_configuration_that_is_not_json_is_refused(data: bytes) -> None:
    with pytest.raises(InputError, match=r"^p.json: the file is not JSON: .*published with"):
        from_config(data, "p.json")
