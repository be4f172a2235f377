"""The size at which Qwen's vision encoder sees an image, and the number of its visual tokens.

`smart_resize` of Qwen's qwen-vl-utils (vision_process.py) makes both sides multiples of `factor`,
with a number of pixels between `min_pixels` and `max_pixels`. No side is under `factor`, so a very
elongated image may have more than `max_pixels`.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

MAX_ASPECT = 200
"""An image is refused if its longer side is over this many times its shorter side (published:
qwen-vl-utils, MAX_RATIO)."""


class Resize(BaseModel):
    """Settings of `smart_resize`. The defaults are Qwen3-VL's (published, qwen-vl-utils)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    factor: PositiveInt = Field(
        32,
        description="sides become multiples of this number: patch size x merge size of the model",
    )
    min_pixels: PositiveInt = Field(
        4 * 32**2, description="smallest number of pixels of the resized image"
    )
    max_pixels: PositiveInt = Field(
        16384 * 32**2, description="largest number of pixels of the resized image"
    )

    @model_validator(mode="after")
    def _has_sizes(self) -> Resize:
        if self.min_pixels > self.max_pixels:
            raise ValueError(
                f"min_pixels is {self.min_pixels}, but max_pixels is only {self.max_pixels}"
            )
        return self


QWEN2_5_RESIZE = Resize(factor=28, min_pixels=4 * 28**2, max_pixels=16384 * 28**2)
"""Settings of Qwen2-VL and Qwen2.5-VL (published, qwen-vl-utils with patch size 14)."""
QWEN3_RESIZE = Resize()
"""Settings of Qwen3-VL (published, qwen-vl-utils with patch size 16)."""

VisionProfile = Literal["qwen3_vl", "qwen3_vl_hf", "qwen2_5_vl"]
VISION_PROFILES: dict[VisionProfile, Resize] = {
    "qwen3_vl": QWEN3_RESIZE,
    "qwen3_vl_hf": Resize(factor=32, min_pixels=65_536, max_pixels=16_777_216),
    "qwen2_5_vl": QWEN2_5_RESIZE,
}
"""The resize of each vision encoder. `qwen3_vl_hf` has the limits of Qwen3-VL's
preprocessor_config.json (published: `size`, shortest_edge and longest_edge), whose smallest image
has 64 tokens, where qwen-vl-utils allows 4. Qwen2.5-VL's preprocessor_config.json has the limits of
qwen-vl-utils."""

AROUND_IMAGE = 2
"""The special tokens around the visual tokens of an image: <|vision_start|> and <|vision_end|>
(published: Qwen's chat templates)."""


def smart_resize(sizes: np.ndarray, how: Resize = QWEN3_RESIZE) -> np.ndarray:
    """Returns (n, 2) int64 widths and heights after the resize, from (n, 2) original widths and
    heights.

    A refused image (aspect over `MAX_ASPECT`, or a side under 1) gives 0 x 0.
    `smart_resize([[640, 428]]) -> [[640, 416]]`
    """
    sides = np.asarray(sizes, np.float64)
    refused = (sides.min(axis=1, initial=np.inf) < 1) | (
        sides.max(axis=1, initial=0) > MAX_ASPECT * sides.min(axis=1, initial=np.inf)
    )
    sides = np.where(refused[:, None], 1.0, sides)
    factor = float(how.factor)
    rounded = np.maximum(factor, np.rint(sides / factor) * factor)
    pixels = rounded.prod(axis=1)
    area = sides.prod(axis=1)
    shrink = np.sqrt(area / how.max_pixels)[:, None]
    smaller = np.maximum(factor, np.floor(sides / shrink / factor) * factor)
    grow = np.sqrt(how.min_pixels / area)[:, None]
    larger = np.ceil(sides * grow / factor) * factor
    resized = np.where((pixels > how.max_pixels)[:, None], smaller, rounded)
    resized = np.where((pixels < how.min_pixels)[:, None], larger, resized)
    return np.where(refused[:, None], 0, resized).astype(np.int64)


def image_tokens(sizes: np.ndarray, how: Resize = QWEN3_RESIZE) -> np.ndarray:
    """Returns (n,) int64 numbers of visual tokens, from (n, 2) widths and heights; 0 for an image
    that `smart_resize` refuses.

    The two special tokens around an image are not counted. `image_tokens([[640, 428]]) -> [260]`
    """
    tokens: np.ndarray = (smart_resize(sizes, how) // how.factor).prod(axis=1)
    return tokens
