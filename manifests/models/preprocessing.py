"""Converts images to the tensors that a vision model takes, with the model's own settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import orjson

from manifests.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

_RESAMPLING = {0: "NEAREST", 1: "LANCZOS", 2: "BILINEAR", 3: "BICUBIC", 4: "BOX", 5: "HAMMING"}
"""Names of Pillow's filters, by their numbers in configuration files (documented: Pillow)."""


class Preprocessing(NamedTuple):
    """Settings for three operations, in this order: resize, crop, and scale to (value x `scale` -
    mean) / std, for RGB values from 0 to 255.

    `resize`: (width, height), or the length of the shorter side; None: not resized. `crop`: (width,
    height) from the centre; None: not cropped.
    """

    resize: tuple[int, int] | int | None
    crop: tuple[int, int] | None
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    scale: float = 1 / 255
    resampling: str = "BICUBIC"

    def tensor(self, image: Image) -> np.ndarray:
        """Returns the tensor of an RGB image, float32 (3, height, width)."""
        pixels = np.asarray(self._fitted(image), np.float32)
        mean, std = (np.array(three, np.float32) for three in (self.mean, self.std))
        values = (pixels * np.float32(self.scale) - mean) / std
        return np.ascontiguousarray(values.transpose(2, 0, 1), np.float32)

    def _fitted(self, image: Image) -> Image:
        from PIL.Image import Resampling

        if self.resize is not None:
            size = self.resize
            if isinstance(size, int):
                shorter = min(image.size)
                size = (_side(image.width, size, shorter), _side(image.height, size, shorter))
            image = image.resize(size, Resampling[self.resampling], reducing_gap=3.0)
        if self.crop is None:
            return image
        left, top = ((a - b) // 2 for a, b in zip(image.size, self.crop, strict=True))
        return image.crop((left, top, left + self.crop[0], top + self.crop[1]))


def _side(side: int, wanted: int, shorter: int) -> int:
    return max(wanted, side * wanted // shorter)


def from_config(data: bytes, place: str) -> Preprocessing:
    """Returns the settings of a `preprocessor_config.json` (Hugging Face transformers, image
    processors).

    Raises InputError if the data is not JSON, or if a setting is missing or not supported.
    """
    fix = "Use the preprocessor_config.json that was published with the model."
    try:
        config = orjson.loads(data)
    except ValueError as error:
        raise InputError(f"the file is not JSON: {error}", place, fix) from None
    try:
        return Preprocessing(
            resize=_size(config, "size") if config.get("do_resize", True) else None,
            crop=_pair(_size(config, "crop_size")) if config.get("do_center_crop") else None,
            mean=_three(config, "image_mean", 0.0),
            std=_three(config, "image_std", 1.0),
            scale=config.get("rescale_factor", 1 / 255) if config.get("do_rescale", True) else 1.0,
            resampling=_RESAMPLING[config.get("resample", 2)],
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"a setting of the preprocessor is missing or not supported: {error!r}", place, fix
        ) from None


def _size(config: dict[str, Any], name: str) -> tuple[int, int] | int:
    size = config[name]
    if isinstance(size, int):
        return size
    if "shortest_edge" in size:
        return int(size["shortest_edge"])
    return int(size["width"]), int(size["height"])


def _pair(size: tuple[int, int] | int) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


def _three(config: dict[str, Any], name: str, default: float) -> tuple[float, float, float]:
    if not config.get("do_normalize", True):
        return (default,) * 3
    one, two, three = map(float, config[name])
    return one, two, three
