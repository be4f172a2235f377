"""The size at which Qwen's vision encoder sees an image, and the tokens that makes.

`smart_resize` of Qwen's qwen-vl-utils (vision_process.py): sides become multiples of `factor`, and
their product lies between the least and the most pixels.
"""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PositiveInt

MAX_ASPECT = 200
"""Published (qwen-vl-utils, MAX_RATIO): more elongated images are refused."""


class Resize(BaseModel):
    """Settings of `smart_resize`. The defaults are Qwen3-VL's (published, qwen-vl-utils)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    factor: PositiveInt = Field(32, description="sides become multiples of it: patch x merge")
    min_pixels: PositiveInt = Field(4 * 32**2, description="pixels at least")
    max_pixels: PositiveInt = Field(16384 * 32**2, description="pixels at most")


QWEN2_5_RESIZE = Resize(factor=28, min_pixels=4 * 28**2, max_pixels=16384 * 28**2)
"""Published (qwen-vl-utils, patch 14): what Qwen2-VL and Qwen2.5-VL are trained with."""
QWEN3_RESIZE = Resize()
"""Published (qwen-vl-utils, patch 16)."""


def smart_resize(sizes: np.ndarray, how: Resize = QWEN3_RESIZE) -> np.ndarray:
    """(n, 2) int64 widths and heights as the encoder sees them, of (n, 2) widths and heights.

    0 x 0 where the aspect is over MAX_ASPECT, or a side is under 1: such images are refused.
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
    seen = np.where((pixels > how.max_pixels)[:, None], smaller, rounded)
    seen = np.where((pixels < how.min_pixels)[:, None], larger, seen)
    return np.where(refused[:, None], 0, seen).astype(np.int64)


def image_tokens(sizes: np.ndarray, how: Resize = QWEN3_RESIZE) -> np.ndarray:
    """(n,) int64: visual tokens of images of (n, 2) widths and heights, their two marks not
    counted; 0 for those that are refused."""
    tokens: np.ndarray = (smart_resize(sizes, how) // how.factor).prod(axis=1)
    return tokens
