"""Samples of chats, their images, and what the reader `llava` makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from curate.ingest.captions.llava import Llava
from curate.ingest.reader import Failure
from tests.ingest.expected import rows_and_failures
from tests.make import make_image

DOG_JPEG, CAT_PNG = make_image(64, 48), make_image(32, 16, kind="PNG")
QUESTION = {"from": "human", "value": "<image>\nWhat is it?"}
ANSWER = {"from": "gpt", "value": "A dog."}
DOG = {"id": "x1", "image": "dog.jpg", "conversations": [QUESTION, ANSWER]}
CAT = {
    "images": ["sub/cat.png"],
    "messages": [
        {"role": "user", "content": "And <image>?"},
        {"role": "assistant", "content": "A cat."},
    ],
}


def write_images(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "dog.jpg").write_bytes(DOG_JPEG)
    (folder / "sub" / "cat.png").write_bytes(CAT_PNG)


def read(
    folder: Path, data: bytes, name: str = "a.json", **settings: Any
) -> tuple[list[Any], list[Failure]]:
    (folder / name).write_bytes(data)
    return rows_and_failures(Llava(name="own", path=name, **settings), folder)


def segment(kind: str, text: str | None, media: int | None, role: str) -> dict[str, Any]:
    loss = kind == "text" and role == "assistant"
    return {"kind": kind, "text": text, "media": media, "role": role, "loss": loss}


DOG_CONTENT = [
    segment("image", None, 0, "user"),
    segment("text", "What is it?", None, "user"),
    segment("text", "A dog.", None, "assistant"),
]
CAT_CONTENT = [
    segment("text", "And", None, "user"),
    segment("image", None, 0, "user"),
    segment("text", "?", None, "user"),
    segment("text", "A cat.", None, "assistant"),
]


def contents(rows: list[Any]) -> list[Any]:
    return [row["content"] for row in rows]
