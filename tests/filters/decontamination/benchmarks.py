"""Benchmarks for tests: questions, images, and the step that searches for them."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from filters.decontamination.decontaminate import Decontaminate
from tests.filters.rows import text_records

STAYS = None
QUESTIONS = [
    "Mara bakes 14 loaves each morning and sells all but three of them at the market before noon. "
    "How many loaves has she sold after a week?",
    "A train of nine wagons carries 450 crates, the same number in each. Two wagons are unloaded "
    "in the first town and half of a third in the next one. How many crates are left on the train?",
    "Is the sum of two odd numbers always even?",
    "Why?",
]
ANSWER = "She sells 14 - 3 = 11 loaves a day. In a week she sells 11 x 7 = 77 loaves."
CHINESE = "小明有十二个苹果,他给了小红五个,又从树上摘了七个,现在他一共有多少个苹果?"
PADDING = "Something that stands in no benchmark is said here first, and again at the end. "


def jsonl(path: Path, *rows: dict[str, Any]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def step(*benchmarks: dict[str, Any], **others: Any) -> Decontaminate:
    return Decontaminate.model_validate({"benchmarks": benchmarks, **others})


def image(width: int, height: int, seed: int, kind: str = "JPEG") -> bytes:
    """An image of many random colours, so that no bit of its hash is close to changing."""
    colours = np.random.default_rng(seed).integers(0, 255, (12, 12, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(colours).resize((width, height), Image.Resampling.BICUBIC).save(out, kind)
    return out.getvalue()


def mirrored(data: bytes) -> bytes:
    out = io.BytesIO()
    Image.open(io.BytesIO(data)).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(out, "PNG")
    return out.getvalue()


def image_list(*names: str) -> list[dict[str, Any]]:
    return [{"kind": "image", "uri": name} for name in names]


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def embedded(*vectors: list[float] | None, fixed: bool = False) -> pa.Table:
    """Records with a column of embeddings."""
    kind = pa.list_(pa.float32(), 3) if fixed else pa.list_(pa.float64())
    batch = text_records(*["x"] * len(vectors))
    return batch.append_column("embed.vector", pa.array(vectors, kind))
