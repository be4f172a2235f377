"""Converts images to the tensors that a vision model takes, with the model's own settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from manifests.errors import MediaError

if TYPE_CHECKING:
    from PIL.Image import Image

_MAX_PIXELS = 1 << 26
"""The largest number of pixels of a resized image (our choice: 192 MiB). An image of 1 x 20000
pixels has 1.1 billion pixels when its shorter side is 224."""


class Preprocessing(NamedTuple):
    """Settings for three operations, in this order: resize, crop, and scale to (value x `scale` -
    mean) / std, for RGB values from 0 to 255.

    `resize`: (width, height), or the length of the shorter side; None: not resized. `crop`: (width,
    height) from the centre; where the image is smaller, black is added; None: not cropped. `bgr`:
    whether the channels are turned to blue, green, red, before the scaling.
    """

    resize: tuple[int, int] | int | None
    crop: tuple[int, int] | None
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    scale: float = 1 / 255
    resampling: str = "BICUBIC"
    bgr: bool = False

    @property
    def size(self) -> tuple[int, int] | None:
        """The (width, height) of every tensor; None if it depends on the image."""
        return self.crop or (self.resize if isinstance(self.resize, tuple) else None)

    def tensor(self, image: Image) -> np.ndarray:
        """Returns the tensor of an RGB image, float32 (3, height, width). Raises MediaError if the
        image is so long and thin that it has more than _MAX_PIXELS pixels when it is resized."""
        pixels = np.asarray(self._fitted(image), np.float32)
        if self.bgr:
            pixels = pixels[:, :, ::-1]
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
            if size[0] * size[1] > _MAX_PIXELS:
                raise MediaError(
                    f"the image of {image.width} x {image.height} pixels is too long and thin for "
                    f"the model: it would be resized to {size[0]} x {size[1]} pixels",
                    fix="Drop such images before, for example by image_shape: {max_aspect: 20}.",
                )
            image = image.resize(size, Resampling[self.resampling])
        if self.crop is None:
            return image
        left, top = ((a - b) // 2 for a, b in zip(image.size, self.crop, strict=True))
        return image.crop((left, top, left + self.crop[0], top + self.crop[1]))


def _side(side: int, wanted: int, shorter: int) -> int:
    return max(wanted, side * wanted // shorter)
