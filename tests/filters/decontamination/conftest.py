"""A benchmark of questions, and a folder of images."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from manifests.media import Media
from tests.engine.test_places import bucket  # noqa: F401
from tests.filters.decontamination.benchmarks import (
    ANSWER,
    QUESTIONS,
    image,
    jsonl,
    mirrored,
    step,
)
from tests.filters.rows import answers, text_records


@pytest.fixture
def asked(tmp_path: Path) -> Callable[..., dict[str, list[Any]]]:
    """The step's answers for texts, with a benchmark of questions in `gsm.jsonl`."""
    rows = [{"key": f"q-{n}", "question": q, "answer": ANSWER} for n, q in enumerate(QUESTIONS)]
    jsonl(tmp_path / "gsm.jsonl", *rows)
    benchmark = {"name": "gsm", "path": "gsm.jsonl", "text": "question", "id": "key"}

    def ask(*texts: str | None, **others: Any) -> dict[str, list[Any]]:
        return answers(step(benchmark, **others), text_records(*texts), Media(str(tmp_path)))

    return ask


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Four images, a smaller copy and a mirrored copy of the first, and one without any detail."""
    for n in range(4):
        (tmp_path / f"{n}.jpg").write_bytes(image(400, 300, n))
    (tmp_path / "small.png").write_bytes(image(200, 150, 0, "PNG"))
    (tmp_path / "mirrored.png").write_bytes(mirrored(image(400, 300, 0)))
    flat = io.BytesIO()
    Image.new("RGB", (64, 64), "white").save(flat, "PNG")
    (tmp_path / "flat.png").write_bytes(flat.getvalue())
    return tmp_path
