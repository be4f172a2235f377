"""What a reader does not use of a JSON object is still checked, and named if it is broken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from curate.ingest.captions.coco_captions import CocoCaptions
from curate.ingest.captions.karpathy import Karpathy
from curate.ingest.captions.sbu_captions import SbuCaptions
from curate.ingest.grounding.coco_instances import Coco
from curate.ingest.grounding.omni3d import Omni3d
from curate.ingest.reader import Reader
from tests.ingest.grounding.reading import read_rows, write_files
from tests.make import make_image

IMAGE = {"id": 7, "file_name": "a.jpg", "file_path": "a.jpg", "width": 100, "height": 50}
BOX = {"id": 1, "image_id": 7, "category_id": 1, "bbox": [0, 0, 9, 9]}
LAYOUT: dict[str, Any] = {
    "images": [IMAGE], "annotations": [BOX], "categories": [{"id": 1, "name": "cat"}],
}  # fmt: skip
FLAT = LAYOUT | {"annotations": [BOX | {"category_name": "cat", "valid3D": False}]}
CAPTIONS = {"images": [IMAGE], "annotations": [{"id": 1, "image_id": 7, "caption": "A cat."}]}
SPLIT = {"images": [{"filename": "a.jpg", "sentences": [{"raw": "A cat."}]}]}
COLUMNS = {"image_urls": ["http://b/a.jpg"], "captions": ["A cat."], "user_ids": ["u"]}
OF = {"name": "own", "path": "a.json", "media_root": "."}
READERS: dict[str, tuple[Reader, dict[str, Any]]] = {
    "coco": (Coco.model_validate(OF), LAYOUT),
    "omni3d": (Omni3d.model_validate(OF), FLAT),
    "coco_captions": (CocoCaptions.model_validate(OF), CAPTIONS),
    "karpathy": (Karpathy.model_validate(OF), SPLIT),
    "sbu": (SbuCaptions.model_validate(OF), COLUMNS),
}


@pytest.mark.parametrize("reader", READERS)
def test_json_that_a_reader_does_not_use_is_checked(tmp_path: Path, reader: str) -> None:
    made, whole = READERS[reader]
    text = json.dumps(whole)[1:]
    write_files(tmp_path, {"a.jpg": make_image(100, 50), "a.json": '{"info": {"n": 20.4}, ' + text})
    rows, failures = read_rows(made, tmp_path)
    assert (len(rows), failures) == (1, [])
    write_files(tmp_path, {"a.json": '{"info": {"n": 20x4}, ' + text})
    found, [failure] = read_rows(made, tmp_path)
    assert (found, failure.origin, failure.error) == (rows, "a.json#info", "RowError")
    assert failure.message.startswith("element at byte 8, ")
