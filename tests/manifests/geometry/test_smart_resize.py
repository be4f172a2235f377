"""Sizes and tokens equal the published ones and plain Python; impossible sizes are refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from manifests.geometry.smart_resize import (
    MAX_ASPECT,
    QWEN2_5_RESIZE,
    QWEN3_RESIZE,
    Resize,
    image_tokens,
    smart_resize,
)

PUBLISHED = {  # (height, width): (height, width, tokens), Qwen3-VL report, figure 1, and its code
    (9376, 1248): (9376, 1248, 11427), (32, 256): (32, 256, 8), (800, 1440): (800, 1440, 1125),
    (448, 736): (448, 736, 322), (1080, 1920): (1088, 1920, 2040), (480, 640): (480, 640, 300),
    (100, 100): (96, 96, 9), (4000, 6000): (3328, 4992, 16224),
    (20000, 20000): (4096, 4096, 16384),
}  # fmt: skip
PUBLISHED_2_5 = {
    (1080, 1920): (1092, 1932, 2691), (480, 640): (476, 644, 391), (100, 100): (112, 112, 16),
}  # fmt: skip


@pytest.mark.parametrize(
    ("how", "vectors"), [(QWEN3_RESIZE, PUBLISHED), (QWEN2_5_RESIZE, PUBLISHED_2_5)]
)
def test_published_sizes_and_tokens(
    how: Resize, vectors: dict[tuple[int, int], tuple[int, int, int]]
) -> None:
    sizes = np.array([(width, height) for height, width in vectors])
    seen, tokens = smart_resize(sizes, how), image_tokens(sizes, how)
    text = [(int(h), int(w), int(t)) for (w, h), t in zip(seen, tokens, strict=True)]
    assert text == list(vectors.values())


def plain_python(width: int, height: int, how: Resize) -> tuple[int, int]:
    f = how.factor
    w, h = (max(f, round(side / f) * f) for side in (width, height))
    if w * h > how.max_pixels:
        by = math.sqrt(width * height / how.max_pixels)
        w, h = (max(f, math.floor(side / by / f) * f) for side in (width, height))
    elif w * h < how.min_pixels:
        by = math.sqrt(how.min_pixels / (width * height))
        w, h = (math.ceil(side * by / f) * f for side in (width, height))
    return w, h


sides = st.one_of(st.integers(1, 30_000), st.integers(1, 99))


@given(sides, sides, st.sampled_from([QWEN3_RESIZE, QWEN2_5_RESIZE]))
@example(20, 40, QWEN3_RESIZE)
@example(20, 40, QWEN2_5_RESIZE)
def test_any_size_equals_plain_python_and_is_within_the_limits(
    width: int, height: int, how: Resize
) -> None:
    seen = smart_resize(np.array([[width, height]]), how)[0].tolist()
    if max(width, height) > MAX_ASPECT * min(width, height):
        assert seen == [0, 0]
    else:
        assert tuple(seen) == plain_python(width, height, how)
        assert all(side % how.factor == 0 for side in seen)


def test_refused_images_have_size_0_and_no_tokens() -> None:
    sizes = np.array([[201, 1], [0, 5], [200, 1]])
    assert smart_resize(sizes)[:2].tolist() == [[0, 0], [0, 0]]
    assert image_tokens(sizes)[:2].tolist() == [0, 0]
    assert image_tokens(sizes)[2] > 0
    assert smart_resize(np.empty((0, 2))).shape == (0, 2)
