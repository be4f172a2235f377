"""Three good images, with captions or without."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bad_input.inputs import GOOD
from tests.make import make_image


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """Three good images in `data`."""
    (tmp_path / "data").mkdir()
    for number in range(3):
        (tmp_path / f"data/{number}.jpg").write_bytes(make_image(64, 48, number))
    return tmp_path


@pytest.fixture
def photos(base: Path) -> Path:
    """They have captions beside them."""
    for number, caption in enumerate(GOOD):
        (base / f"data/{number}.txt").write_text(caption)
    return base
