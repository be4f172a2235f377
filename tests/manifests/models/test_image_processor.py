"""Configuration files of image processors: tensors equal those of Hugging Face transformers."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from PIL import Image

from manifests.errors import InputError
from manifests.models.image_processor import from_config
from manifests.models.preprocessing import Preprocessing

CLIP_NUMBERS = {
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
}
ON = {"do_normalize": True, "do_rescale": True, "do_resize": True, "rescale_factor": 1 / 255}
CONFIGS: dict[str, dict[str, Any]] = {
    "clip_old": {
        **CLIP_NUMBERS, "crop_size": 224, "do_center_crop": True, "do_normalize": True,
        "do_resize": True, "feature_extractor_type": "CLIPFeatureExtractor", "resample": 3,
        "size": 224,
    },
    "clip_new": {
        **ON, **CLIP_NUMBERS, "crop_size": {"height": 224, "width": 224}, "do_center_crop": True,
        "do_convert_rgb": True, "image_processor_type": "CLIPImageProcessor", "resample": 3,
        "size": {"shortest_edge": 224},
    },
    "clip_bare": {"image_processor_type": "CLIPImageProcessor"},
    "clip_nocropbig": {
        "image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 64},
        "crop_size": 96,
    },
    "siglip2": {
        **ON, "do_convert_rgb": None, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
        "image_processor_type": "SiglipImageProcessor", "processor_class": "SiglipProcessor",
        "resample": 2, "size": {"height": 256, "width": 256},
    },
    "dinov2": {
        **ON, "crop_size": {"height": 224, "width": 224}, "do_center_crop": True,
        "do_convert_rgb": True, "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225], "image_processor_type": "BitImageProcessor",
        "resample": 3, "size": {"shortest_edge": 256},
    },
    "vit_old": {
        "do_normalize": True, "do_resize": True, "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5], "feature_extractor_type": "ViTFeatureExtractor",
        "resample": 2, "size": 224,
    },
}  # fmt: skip


def config(content: Any) -> Preprocessing:
    return from_config(json.dumps(content).encode(), "p.json")


def pattern(width: int, height: int) -> Image.Image:
    y, x = np.mgrid[:height, :width]
    colours = [(x * 7 + y * 3) % 256, (x * y) % 256, (x * x + 5 * y) % 256]
    return Image.fromarray(np.stack(colours, -1).astype(np.uint8))


# Computed by transformers 4.57.1, with Pillow and numpy: the mean and the standard deviation of the
# tensor, and its values at [0, 0, 0], [1, 50, 20] and [2, -1, -1].
TRANSFORMERS = [
    ("clip_old", (301, 200), (224, 224), 0.18178, 0.95894, [-0.42, 1.8047, -1.2527]),
    ("clip_old", (97, 333), (224, 224), 0.17773, 0.96470, [-0.3908, 0.289, -0.883]),
    ("clip_new", (301, 200), (224, 224), 0.18178, 0.95894, [-0.42, 1.8047, -1.2527]),
    ("clip_new", (97, 333), (224, 224), 0.17773, 0.96470, [-0.3908, 0.289, -0.883]),
    ("clip_bare", (301, 200), (224, 224), 0.18178, 0.95894, [-0.42, 1.8047, -1.2527]),
    ("clip_bare", (97, 333), (224, 224), 0.17773, 0.96470, [-0.3908, 0.289, -0.883]),
    ("clip_nocropbig", (301, 200), (96, 96), -0.44302, 1.03666, [-1.7923, 0.0188, -1.4802]),
    ("clip_nocropbig", (97, 333), (96, 96), -0.43713, 1.09589, [-1.7923, 1.4295, -1.4802]),
    ("siglip2", (301, 200), (256, 256), -0.00870, 0.45474, [-0.9922, 0.1765, -0.2314]),
    ("siglip2", (97, 333), (256, 256), -0.00980, 0.46694, [-0.9922, 0.1765, -0.0353]),
    ("dinov2", (301, 200), (224, 224), 0.21973, 1.13368, [1.6153, 1.2381, -1.7173]),
    ("dinov2", (97, 333), (224, 224), 0.21024, 1.14012, [0.5364, -0.285, 1.3677]),
    ("vit_old", (301, 200), (224, 224), -0.00845, 0.43826, [-0.9843, 0.4275, -0.3098]),
    ("vit_old", (97, 333), (224, 224), -0.00943, 0.46049, [-0.9922, -0.1137, -0.0431]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "image", "size", "mean", "std", "values"),
    TRANSFORMERS,
    ids=[f"{one[0]}-{one[1][0]}" for one in TRANSFORMERS],
)
def test_tensors_equal_those_of_transformers(
    name: str,
    image: tuple[int, int],
    size: tuple[int, int],
    mean: float,
    std: float,
    values: list[float],
) -> None:
    read = config(CONFIGS[name])
    tensor = read.tensor(pattern(*image))
    assert read.size == size[::-1]
    assert tensor.shape == (3, *size)
    assert [tensor.mean(), tensor.std()] == pytest.approx([mean, std], abs=2e-5)
    found = [tensor[0, 0, 0], tensor[1, 50, 20], tensor[2, -1, -1]]
    assert found == pytest.approx(values, abs=2e-4)


def test_the_image_processor_may_be_inside_a_processor_config() -> None:
    nested = {"image_processor": CONFIGS["siglip2"], "processor_class": "Siglip2Processor"}
    assert config(nested) == config(CONFIGS["siglip2"])


def test_settings_that_are_null_have_the_default_of_the_class() -> None:
    assert config({**CONFIGS["clip_bare"], "resample": None}) == config(CONFIGS["clip_bare"])


def test_steps_that_are_off_and_one_number_for_all_channels() -> None:
    read = config({"size": 64, "do_normalize": False, "do_rescale": False})
    assert (read.resize, read.mean, read.std, read.scale) == ((64, 64), (0.0,) * 3, (1.0,) * 3, 1.0)
    assert read.tensor(Image.new("RGB", (64, 64), (1, 2, 3)))[:, 0, 0].tolist() == [1, 2, 3]
    grey = config({"size": 64, "image_mean": 0.5, "image_std": 0.25})
    assert (grey.mean, grey.std) == ((0.5,) * 3, (0.25,) * 3)


def test_channels_are_turned_if_the_configuration_asks_for_it() -> None:
    settings = {"do_normalize": False, "do_rescale": False, "do_flip_channel_order": True}
    read = config({"size": 4, **settings})
    assert read.tensor(Image.new("RGB", (4, 4), (1, 2, 3)))[:, 0, 0].tolist() == [3, 2, 1]


GOOD = {"size": 4, "image_mean": [0, 0, 0], "image_std": [1, 1, 1]}


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ([1], "the file has a list, not an object of settings"),
        ({"architectures": ["SiglipModel"]}, "no 'image_mean'"),
        ({**GOOD, "size": {}}, "size {}; it must be a number, shortest_edge"),
        ({**GOOD, "size": {"longest_edge": 9, "shortest_edge": 4}}, "size {'longest_edge': 9"),
        ({**GOOD, "size": {"max_height": 9, "max_width": 4}}, "size {'max_height': 9"),
        ({**GOOD, "size": 0}, "a side of 0 pixels"),
        ({**GOOD, "size": True}, "a side of True pixels"),
        ({**GOOD, "size": 100000}, "a side of 100000 pixels"),
        ({**GOOD, "image_mean": [1]}, "image_mean \\[1\\]; three numbers are expected"),
        ({**GOOD, "image_std": [1, 0, 1]}, "image_std .* has a 0"),
        ({**GOOD, "resample": 9}, "resample 9; known are 0 to 5"),
        ({**GOOD, "resample": "bicubic"}, "resample 'bicubic'"),
        ({**GOOD, "crop_pct": 0.875}, "crop_pct: 0.875 is not supported"),
        ({**GOOD, "do_pad": True}, "do_pad: True is not supported"),
        ({**GOOD, "max_num_patches": 256}, "max_num_patches: 256 is not supported"),
        ({**GOOD, "do_center_crop": True}, "no 'crop_size'"),
        ({**GOOD, "rescale_factor": "x"}, "could not convert"),
    ],
)
def test_settings_that_are_missing_or_not_supported_are_named(content: Any, fault: str) -> None:
    start = "p.json: a setting of the preprocessor is missing or not supported: "
    with pytest.raises(InputError, match=f"^{start}{fault}.*published with the model"):
        config(content)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff"])
def test_a_configuration_that_is_not_json_is_refused(data: bytes) -> None:
    with pytest.raises(InputError, match=r"^p.json: the file is not JSON: .*published with"):
        from_config(data, "p.json")
