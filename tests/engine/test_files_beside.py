"""A source is read again, and `verify` says so, if a file that it is read with changes."""

from __future__ import annotations

import itertools
import json
import pickle
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from curate.engine.recount import recount
from tests.ingest.grounding.reading import PHOTO, write_file
from tests.ingest.grounding.test_flickr30k import SENTENCES, SHARED, xml
from tests.ingest.grounding.test_refcoco import INSTANCES, REFS
from tests.ingest.grounding.test_visual_genome import OBJECTS
from tests.make import make_image
from tests.runs import FinishedRun, run_recipe

ROW = {"image": "a.jpg", "boxes": [[0, 0, 9, 9]], "labels": [0]}
SIZES = [{"image_id": 12, "width": 200, "height": 100}]
BOXES = {"space": "xyxy pixel", "boxes": "boxes", "labels": "labels", "names": "names.txt"}


class Case(NamedTuple):
    """A source, its files, and the contents that one of the files beside it has in turn; None: the
    file is not there."""

    settings: dict[str, Any]
    files: dict[str, Any]
    beside: str
    contents: list[Any]


CASES = {
    "yolo": Case(
        {"path": "labels"},
        {"labels/a.txt": "0 .5 .5 .2 .2\n", "images/a.jpg": PHOTO},
        "classes.txt",
        ["cat\n", "dog\n"],
    ),
    "boxes_table": Case(
        {"path": "a.jsonl", **BOXES},
        {"a.jsonl": json.dumps(ROW) + "\n", "a.jpg": PHOTO},
        "names.txt",
        ["cat\n", "dog\n"],
    ),
    "refcoco": Case(
        {"path": "refs.p", "split": "train"},
        {
            "refs.p": pickle.dumps(REFS),
            "COCO_train2014_7.jpg": make_image(100, 50),
            "COCO_train2014_8.jpg": make_image(200, 200),
        },
        "instances.json",
        [INSTANCES, {**INSTANCES, "categories": [{"id": 1, "name": "d"}, {"id": 3, "name": "c"}]}],
    ),
    "visual_genome": Case(
        {"path": "objects.json"},
        {"objects.json": OBJECTS, "VG_100K/12.jpg": make_image(100, 50)},
        "image_data.json",
        [None, SIZES, None],
    ),
    "flickr30k_entities": Case(
        {"path": "Annotations", "media_root": "jpg"},
        {"Annotations/9.xml": xml(SHARED), "jpg/9.jpg": PHOTO},
        "Sentences/9.txt",
        [SENTENCES, SENTENCES.replace("field", "garden"), None],
    ),
}


def read(base: Path, reader: str, out: str) -> FinishedRun:
    source = {"name": "own", "reader": reader, **CASES[reader].settings}
    return run_recipe(base, source, out=out, max_quarantined=9)


@pytest.mark.parametrize("reader", CASES)
def test_a_changed_file_beside_a_source_is_named_and_the_source_is_read_again(
    tmp_path: Path, reader: str
) -> None:
    case, seen = CASES[reader], list[list[dict[str, Any]]]()
    for name, content in case.files.items():
        write_file(tmp_path / name, content)
    for number, content in enumerate(case.contents):
        place = tmp_path / case.beside
        if content is None:
            place.unlink(missing_ok=True)
        else:
            write_file(place, content)
        if number:
            [(_, fault)] = recount(str(tmp_path / "out")).faults
            named = case.beside if content is not None else "there is none now"
            assert f"changed, added or removed after the run ({named})" in fault
        again, fresh = read(tmp_path, reader, "out"), read(tmp_path, reader, f"out-{number}")
        assert again.manifest.digest == fresh.manifest.digest
        seen.append(fresh.rows)
    assert all(one != other for one, other in itertools.pairwise(seen))
