"""Sources of recipes, and the good inputs that stay in a run beside bad ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.make import make_image, write_json_lines

GOOD = [f"A good caption, number {n}." for n in range(3)]
PHOTOS = {"name": "photos", "reader": "folder", "path": "data"}
TARS = {"name": "tars", "reader": "webdataset", "path": "data/*.tar"}
LINES = {"name": "lines", "reader": "table", "path": "data/*.jsonl", "text": "caption",
         "image": "file", "media_root": "data"}  # fmt: skip
COCO = {"name": "coco", "reader": "coco_captions", "path": "data/*.coco.json"}
CHATS = {"name": "chats", "reader": "llava", "path": "data/*.chats.json"}
TSV = {"name": "tsv", "reader": "tsv", "path": "data/*.tsv", "media_root": "data"}
URLS = {"name": "urls", "reader": "url_table", "path": "data/*.parquet", "media_root": "data"}
BRING = "Put the file there and run again with --retry, or leave it in quarantine."
REPLACE = "Put an intact image in its place, or leave it in quarantine."
UTF8 = "is not UTF-8. Convert the file to UTF-8."


PHOTOS_KEPT = {f"data/{n}.jpg": caption for n, caption in enumerate(GOOD)}
MEMBERS = [
    member
    for n, caption in enumerate(GOOD)
    for member in ((f"{n}.jpg", make_image(64, 48, n)), (f"{n}.txt", caption.encode()))
]
TARS_KEPT = {f"data/a.tar#{n}": caption for n, caption in enumerate(GOOD)}
ROWS = [{"file": f"{n}.jpg", "caption": caption} for n, caption in enumerate(GOOD)]


def write_lines(base: Path, *rows: dict[str, Any] | bytes, name: str = "a.jsonl") -> None:
    write_json_lines(base / "data" / name, rows)


def write_coco(base: Path, captions: list[Any]) -> Path:
    images = [{"id": n, "file_name": f"{n}.jpg"} for n in range(3)]
    annotations = [{"id": n, "image_id": n % 3, "caption": c} for n, c in enumerate(captions)]
    path = base / "data/a.coco.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations}))
    return path


def chat(number: int, caption: str) -> dict[str, Any]:
    turns = [
        {"from": "human", "value": "<image>\nWhat is this?"},
        {"from": "gpt", "value": caption},
    ]
    return {"image": f"{number}.jpg", "conversations": turns}
