"""A mutated annotation file gives records, failures or one InputError, and never another error."""

from __future__ import annotations

import copy
import json
import pickle
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from curate import catalog
from manifests import record
from manifests.errors import InputError
from tests.ingest.grounding.reading import PHOTO, read_source

ANNOTATION: dict[str, Any] = {
    "id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 5, 20, 10], "iscrowd": 0, "area": 3.5,
    "segmentation": [[1, 2, 30, 4, 5, 16]],
}  # fmt: skip
MASKED = {**ANNOTATION, "id": 2, "segmentation": {"size": [50, 100], "counts": [5, 4995]}}
SIZE = {"width": 100, "height": 50}
COCO = {
    "images": [{"id": n, "file_name": "a.jpg", **SIZE} for n in (1, 2)],
    "annotations": [ANNOTATION, MASKED, {**ANNOTATION, "id": 3, "image_id": 2}],
    "categories": [{"id": 1, "name": "cat"}],
}
SOLID = {
    **ANNOTATION, "category_name": "cat", "valid3D": True, "bbox2D_tight": [10, 5, 30, 20],
    "bbox2D_trunc": [10, 5, 30, 20], "bbox2D_proj": [10, 5, 30, 20], "center_cam": [0, 0, 5],
    "dimensions": [1, 1, 2], "R_cam": [[1, 0, 0], [0, 1, 0], [0, 0, 1]], "visibility": 1.0,
    "truncation": 0.0, "behind_camera": False, "lidar_pts": 3, "depth_error": -1,
}  # fmt: skip
OMNI3D = {
    "images": [{"id": 1, "file_path": "a.jpg", "K": [[50, 0, 50], [0, 50, 25], [0, 0, 1]], **SIZE}],
    "annotations": [SOLID, {**SOLID, "id": 2, "bbox3D_cam": [[0, 0, 0]] * 8}],
    "categories": [{"id": 1, "name": "cat"}],
}
SHAPES = {"rectangle": 2, "polygon": 3, "circle": 2, "point": 1}
LABELME = {
    "imagePath": "a.jpg", "imageData": None, "imageWidth": 100, "imageHeight": 50, "shapes": [
        {"label": "c", "points": [[1, 2], [30, 20], [5, 30]][:count], "shape_type": kind,
         "group_id": None, "flags": {}}
        for kind, count in SHAPES.items()
    ],
}  # fmt: skip
REFS = [{
    "ref_id": 1, "ann_id": 1, "image_id": 1, "category_id": 1, "split": "train",
    "sentences": [{"sent_id": 1, "sent": "the cat", "raw": "The cat", "tokens": ["the", "cat"]}],
}]  # fmt: skip


def chat(answer: str) -> list[Any]:
    turns = [{"from": "human", "value": "<image>\nWhere?"}, {"from": "gpt", "value": answer}]
    return [{"image": "a.jpg", "conversations": turns}]


GRIT = {
    "key": "a", "caption": "A dog in grass", **SIZE, "ref_exps": [[0.0, 5.0, 0.1, 0.2, 0.3, 0.4, 1]]
}  # fmt: skip
PIXMO = {"image_url": "http://x/a.jpg", "points": [{"x": 12.0, "y": 50.0}], "label": "cup"}
TABLE = {"image": "a.jpg", "objects": {"bbox": [[10, 5, 20, 10]], "category": ["dog"]}}
FIELDS = {"space": "coco", "objects": {"field": "objects", "box": "bbox", "label": "category"}}
VOC = (
    "<annotation><filename>a.jpg</filename><size><width>100</width><height>50</height></size>"
    "<object><name>12</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>50</xmax><ymax>25</ymax>"
    "</bndbox></object></annotation>"
)
QWEN = '```json\n[{"bbox_2d": [100, 100, 300, 200], "label": "cat"}]\n```'
SCREEN = {"img_filename": "a.jpg", "bbox": [1, 2, 30, 20], "instruction": "x", "data_type": "icon"}
REGION = {"region_id": 1, "image_id": 1, "phrase": "a cat", "x": 1, "y": 2, "width": 9, "height": 9}
OBJECT = {"object_id": 1, "names": ["cat"], "synsets": ["c.n.01"], "x": 1, "y": 2, "w": 9, "h": 9}

# Reader, file name, valid content, settings.
VALID: dict[str, tuple[str, str, Any, dict[str, Any]]] = {
    "coco": ("coco", "f.json", COCO, {}),
    "omni3d": ("omni3d", "f.json", OMNI3D, {}),
    "regions": ("visual_genome", "f.json", [{"id": 1, "regions": [REGION]}], {}),
    "objects": ("visual_genome", "f.json", [{"image_id": 1, "objects": [OBJECT]}], {}),
    "labelme": ("labelme", "f.json", LABELME, {}),
    "screenspot": ("screenspot", "f.json", [SCREEN] * 3, {}),
    "grit": ("grit", "f.jsonl", GRIT, {"media_root": "."}),
    "pixmo": ("pixmo", "f.jsonl", PIXMO, {"media_root": "."}),
    "table": ("boxes_table", "f.jsonl", TABLE, FIELDS),
    "qwen": ("qwen_grounding", "f.json", chat(QWEN), {}),
    "tags": ("qwen_grounding", "f.json", chat("<ref>cat</ref><box>(1,2),(30,40)</box>"), {}),
    "refcoco": ("refcoco", "f.p", REFS, {}),
    "voc": ("voc", "f.xml", VOC, {}),
    "flickr": ("flickr30k_entities", "Annotations/f.xml", VOC, {"media_root": "."}),
    "yolo": ("yolo", "f.txt", "0 0.5 0.5 0.2 0.4\n1 0.1 0.2 0.3 0.2 0.3 0.6\n",
             {"names": ["a", "b"]}),
}  # fmt: skip
ODD: list[Any] = [
    None, True, -1, 0, 1e308, -1e308, 10**30, "", "x", [], {}, [[]], [None], {"a": 1}, [1, 2, 3],
    [1, 2, 3, 4, 5], "NaN", 0.5, "é" * 300, [[1, 2], [3, 4]], [["a"] * 4], 2**63,
]  # fmt: skip
FRAGMENTS = (
    b"<", b">", b"</object>", b"&x;", b"nan", b"-1", b"1e400", b"\xff", b"\0", b'"', b"}", b"[",
    b"]", b",", b"\n", b"[/EN#", b"<!DOCTYPE a [<!ENTITY b 'c'>]>",
)  # fmt: skip


def mutated(value: Any, draw: random.Random) -> Any:
    """The value with one to three changes: a value replaced, removed or added."""
    value = copy.deepcopy(value)
    for _ in range(draw.choice((1, 1, 2, 3))):
        holder, key = draw.choice(list(_places(value)))
        change, odd = draw.random(), copy.deepcopy(draw.choice(ODD))
        if change < 0.6:
            holder[key] = odd
        elif change < 0.8 and len(holder) > 1:
            del holder[key]
        elif isinstance(holder, list):
            holder.insert(key, odd)
        else:
            holder["more"] = odd
    return value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    keys = value.keys() if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


def mutated_bytes(data: bytes, draw: random.Random) -> bytes:
    """The bytes with one to five changes: bytes replaced, removed or inserted."""
    out = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 5))):
        at = draw.randrange(len(out) + 1)
        change = draw.random()
        if change < 0.3:
            out[at : at + 1] = bytes([draw.randrange(256)])
        elif change < 0.6:
            del out[at : at + draw.randrange(1, 30)]
        else:
            out[at:at] = draw.choice(FRAGMENTS)
    return bytes(out)


def encoded(name: str, value: Any, draw: random.Random) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if name.endswith(".p"):
        return pickle.dumps(value, protocol=draw.choice((0, 1, 2)))
    return json.dumps(value).encode()


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("dialect", VALID)
def test_a_mutated_file_gives_records_failures_or_an_input_error(
    dialect: str, tmp_path: Path
) -> None:
    name, file, valid, settings = VALID[dialect]
    draw = random.Random(dialect)
    for image in ("a.jpg", "f.jpg", "1.jpg"):
        (tmp_path / image).write_bytes(PHOTO)
    (tmp_path / "instances.json").write_text(json.dumps(COCO))
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Sentences").mkdir()
    (tmp_path / "Sentences/f.txt").write_text("[/EN#12/people A dog] runs .\n")
    reader = catalog.resolve_reader(name).model_validate({"name": "a", "path": file, **settings})
    assert _counts(reader, tmp_path, encoded(file, valid, draw))[0] > 0
    counts = [0, 0, 0]
    for _ in range(40):
        value = valid if isinstance(valid, str) else mutated(valid, draw)
        data = encoded(file, value, draw)
        if isinstance(valid, str) or draw.random() < 0.3:
            data = mutated_bytes(data, draw)
        counts = [a + b for a, b in zip(counts, _counts(reader, tmp_path, data), strict=True)]
    assert counts[0] > 0
    assert counts[1] + counts[2] > 0


def _counts(reader: Any, base: Path, data: bytes) -> tuple[int, int, int]:
    """The number of records, failures and refused files from these bytes."""
    (base / reader.path).write_bytes(data)
    try:
        batches = read_source(reader, base)
    except InputError:
        return 0, 0, 1
    for batch in batches:
        assert batch.records.schema == record.SCHEMA
        batch.records.validate(full=True)
        assert all(failure.message and failure.origin for failure in batch.failures)
    return sum(b.records.num_rows for b in batches), sum(len(b.failures) for b in batches), 0
