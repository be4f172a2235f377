"""A file of COCO annotations, its images, and what the reader `coco` makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from curate.ingest.grounding.coco_instances import Coco
from tests.ingest.grounding.reading import read_rows, write_file
from tests.make import make_image

IMAGES = [
    {"id": 7, "file_name": "dog.jpg", "width": 100, "height": 50, "license": 4},
    {"id": 8, "file_name": "cat.png", "width": 200, "height": 200},
    {"id": 9, "file_name": "none.png", "width": 200, "height": 200},
]
CATEGORIES = [{"id": 1, "name": "dog", "supercategory": "animal"}, {"id": 3, "name": "cat"}]
RING = [10, 5, 60, 5, 60, 30]
MASK = {"size": [200, 200], "counts": [1, 2, 39997]}
ANNOTATIONS: list[dict[str, Any]] = [
    {"id": 1, "image_id": 8, "category_id": 3, "bbox": [20, 40, 100, 60], "iscrowd": 0},
    {
        "id": 2, "image_id": 7, "category_id": 1, "bbox": [10, 5, 50, 25], "area": 9.5,
        "segmentation": [RING, [0, 0, 10, 0, 10, 10]], "iscrowd": 0,
    },
    {
        "id": 3, "image_id": 8, "category_id": 1, "bbox": [0, 0, 200, 200], "iscrowd": 1,
        "segmentation": MASK, "keypoints": [1, 2, 2], "num_keypoints": 1,
    },
]  # fmt: skip


def write_images(folder: Path) -> None:
    write_file(folder / "dog.jpg", make_image(100, 50))
    write_file(folder / "cat.png", make_image(200, 200, kind="PNG"))
    write_file(folder / "none.png", make_image(200, 200, kind="PNG"))


def coco(base: Path, **changes: Any) -> Any:
    settings = changes.pop("settings", {})
    whole = {"images": IMAGES, "annotations": ANNOTATIONS, "categories": CATEGORIES} | changes
    write_file(base / "a.json", whole)
    return read_rows(Coco(name="own", path="a.json", **settings), base)
