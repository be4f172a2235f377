"""Reads the preprocessing of a vision model from its `preprocessor_config.json` or
`processor_config.json`, as Hugging Face transformers writes them.

The settings and their defaults are those of transformers' classes of image processors (documented:
transformers 4.57, src/transformers/models/*/image_processing_*.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import orjson

from manifests.errors import InputError
from manifests.models.preprocessing import Preprocessing

_RESAMPLING = {0: "NEAREST", 1: "LANCZOS", 2: "BILINEAR", 3: "BICUBIC", 4: "BOX", 5: "HAMMING"}
"""Names of Pillow's filters, by their numbers in configuration files (documented: Pillow)."""
_FIX = "Use the preprocessor_config.json that was published with the model."
_CLIP_MEAN, _CLIP_STD = (
    [0.48145466, 0.4578275, 0.40821073],
    [0.26862954, 0.26130258, 0.27577711],
)
_HALF = {"size": 224, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
_LARGEST = 8192
"""The largest side of a tensor, in pixels (our choice: larger numbers are mistakes)."""


class _Class(NamedTuple):
    """A class of image processors: how it reads a `size` that is one number, and its defaults."""

    number_is_square: bool
    defaults: Mapping[str, Any]


_CLIP = _Class(
    False,
    {
        "size": {"shortest_edge": 224}, "crop_size": 224, "do_center_crop": True, "resample": 3,
        "image_mean": _CLIP_MEAN, "image_std": _CLIP_STD,
    },
)  # fmt: skip
_CLASSES = {
    "CLIP": _CLIP,
    "ChineseCLIP": _CLIP,
    "Bit": _CLIP,
    "Siglip": _Class(True, {**_HALF, "resample": 3}),
    "ViT": _Class(True, {**_HALF, "resample": 2}),
}
"""By the beginning of the name in `image_processor_type` or `feature_extractor_type`."""
_ENDINGS = ("ImageProcessorFast", "ImageProcessor", "FeatureExtractor")
_NOT_SUPPORTED = (
    "crop_pct", "do_pad", "do_thumbnail", "do_split_image", "do_image_splitting",
    "max_num_patches", "rescale_offset",
)  # fmt: skip
"""Settings that change the tensor in a way that is not supported here."""


def from_config(data: bytes, place: str) -> Preprocessing:
    """Returns the settings of a `preprocessor_config.json`, or of the image processor in a
    `processor_config.json`.

    Raises InputError if the data is not JSON, or if a setting is missing or not supported.
    """
    try:
        config = orjson.loads(data)
    except ValueError as error:
        raise InputError(f"the file is not JSON: {error}", place, _FIX) from None
    try:
        return _preprocessing(config)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise InputError(
            f"a setting of the preprocessor is missing or not supported: {what}", place, _FIX
        ) from None


def _preprocessing(config: Any) -> Preprocessing:
    if not isinstance(config, dict):
        raise ValueError(f"the file has a {type(config).__name__}, not an object of settings")
    nested = config.get("image_processor")
    config = nested if isinstance(nested, dict) else config
    kind = _class_of(config)
    config = {**(kind.defaults if kind else {}), **_without_null(config)}
    for name in _NOT_SUPPORTED:
        if config.get(name):
            raise ValueError(f"{name}: {config[name]!r} is not supported")
    crop = _crop(config) if config.get("do_center_crop") else None
    square = kind.number_is_square if kind else crop is None
    mean, std = (0.0,) * 3, (1.0,) * 3
    if config.get("do_normalize", True):
        mean, std = _three(config, "image_mean"), _three(config, "image_std")
    if 0 in std:
        raise ValueError(f"image_std {list(std)} has a 0")
    return Preprocessing(
        resize=_size(config["size"], square) if config.get("do_resize", True) else None,
        crop=crop,
        mean=mean,
        std=std,
        scale=_number(config, "rescale_factor", 1 / 255) if config.get("do_rescale", True) else 1.0,
        resampling=_resampling(config.get("resample", 2)),
        bgr=bool(config.get("do_flip_channel_order")),
    )


def _class_of(config: Mapping[str, Any]) -> _Class | None:
    """Returns the class of the image processor; None if it is not stated or not in _CLASSES, so
    that all settings must be in the file."""
    name = str(config.get("image_processor_type") or config.get("feature_extractor_type") or "")
    for ending in _ENDINGS:
        if name.endswith(ending):
            return _CLASSES.get(name.removesuffix(ending))
    return None


def _without_null(config: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if value is not None}


def _size(size: Any, number_is_square: bool) -> tuple[int, int] | int:
    """Returns (width, height), or the length of the shorter side."""
    if isinstance(size, int):
        side = _side(size)
        return (side, side) if number_is_square else side
    if isinstance(size, dict) and size.keys() == {"shortest_edge"}:
        return _side(size["shortest_edge"])
    if isinstance(size, dict) and size.keys() == {"height", "width"}:
        return _side(size["width"]), _side(size["height"])
    raise ValueError(f"size {size!r}; it must be a number, shortest_edge, or height and width")


def _crop(config: Mapping[str, Any]) -> tuple[int, int]:
    size = _size(config["crop_size"], number_is_square=True)
    return size if isinstance(size, tuple) else (size, size)


def _side(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= _LARGEST:
        raise ValueError(f"a side of {value!r} pixels")
    return value


def _resampling(value: Any) -> str:
    if isinstance(value, bool) or value not in _RESAMPLING:
        raise ValueError(f"resample {value!r}; known are 0 to 5")
    return _RESAMPLING[value]


def _number(config: Mapping[str, Any], name: str, default: float) -> float:
    value = float(config.get(name, default))
    if not np.isfinite(value):
        raise ValueError(f"{name} {value}")
    return value


def _three(config: Mapping[str, Any], name: str) -> tuple[float, float, float]:
    values = config[name]
    if isinstance(values, int | float):
        values = [values] * 3
    if not isinstance(values, list) or len(values) != 3:
        raise ValueError(f"{name} {values!r}; three numbers are expected, one for each channel")
    one, two, three = map(float, values)
    if not np.isfinite([one, two, three]).all():
        raise ValueError(f"{name} {values!r}")
    return one, two, three
