"""Annotations that are wrong, through a whole run."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest

from tests.bad_input.inputs import write_lines
from tests.runs import Quarantined, curate, run_recipe, write_recipe

BOXES: dict[str, Any] = {
    "name": "boxes", "reader": "boxes_table", "path": "data/*.jsonl", "media_root": "data",
    "boxes": "boxes", "labels": "labels", "space": "xyxy pixel", "width": "w", "height": "h",
}  # fmt: skip
GOOD = {"image": "0.jpg", "boxes": [[8, 6, 32, 24]], "labels": ["cat"], "w": 64, "h": 48}


def lost(line: int, message: str) -> Quarantined:
    return Quarantined(f"data/a.jsonl#{line}", "read boxes", "RowError", message)


def test_numbers_that_are_no_box_quarantine_only_their_record(base: Path) -> None:
    odd = [[8, 6, 32], [8, 6, None, 24], [32, 6, 8, 24], [8, 6, 3200, 24]]
    write_lines(base, *[GOOD] * 12, *({**GOOD, "boxes": [box]} for box in odd))
    made = run_recipe(base, BOXES)
    nowhere = "impossible on an image of 64 x 48 in the coordinate space 'xyxy pixel': "
    nowhere += "not finite, in reverse order, or far outside."
    fix = "Correct the annotation, or leave it in quarantine."
    assert made.accounts["read boxes"] == (16, 12, {}, {"RowError": 4})
    assert made.quarantine == [
        lost(13, "object 0: [8, 6, 32] is not 4 numbers"),
        lost(14, "object 0: [8, 6, None, 24] is not 4 numbers"),
        lost(15, f"the coordinates [32, 6, 8, 24] are {nowhere} {fix}"),
        lost(16, f"the coordinates [8, 6, 3200, 24] are {nowhere} {fix}"),
    ]


def test_boxes_outside_the_image_or_without_width_are_removed_by_a_step(base: Path) -> None:
    out, line = {**GOOD, "boxes": [[-16, 6, 8, 24]]}, {**GOOD, "boxes": [[8, 6, 8, 24]]}
    write_lines(base, *[GOOD] * 12, out, line, {**GOOD, "boxes": [[8, 6, 64.4, 24]]})
    made = run_recipe(base, BOXES, steps=[{"boxes": {}}])
    assert made.accounts["boxes"] == (15, 13, {"no object left": 2}, {})
    assert made.rows[-1]["objects"][0]["box"][2] <= 1000


def test_a_wrong_space_stops_the_run(base: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_lines(base, *[GOOD] * 12)
    write_recipe(base, {**BOXES, "space": "xyxy fraction"})
    assert curate(base, "run", "recipe.yaml", "-o", "out", "--inline", "-q") == 1
    message = capsys.readouterr().err
    assert "data/a.jsonl: 12 of 12 boxes do not fit the coordinate space 'xyxy fraction'" in message
    assert "'xyxy pixel'" in message
    assert not (base / "out/manifest.json").exists()


def test_annotations_of_another_image_quarantine_their_record(base: Path) -> None:
    write_lines(base, GOOD, {**GOOD, "w": 48, "h": 64})
    message = (
        "the annotations refer to an image of 48 x 64, but the image file is 64 x 48 with its "
        "Exif rotation. Check that the annotations belong to this image: the aspect ratios "
        "differ."
    )
    made = run_recipe(base, BOXES)
    assert made.quarantine == [lost(2, f"data/0.jpg: {message}")]


def test_a_broken_coco_annotation_is_quarantined_alone(base: Path) -> None:
    sound = {"id": 1, "image_id": 0, "category_id": 1, "bbox": [8, 6, 24, 18]}
    wrong = [{**sound, "id": 2, "image_id": 9}, {**sound, "id": 3, "category_id": 9}, sound, 5]
    split = {
        "images": [{"id": 0, "file_name": "0.jpg", "width": 64, "height": 48}],
        "annotations": [sound, *wrong], "categories": [{"id": 1, "name": "cat"}],
    }  # fmt: skip
    (base / "data/a.json").write_text(json.dumps(split))
    source = {"name": "boxes", "reader": "coco", "path": "data/a.json"}
    made = run_recipe(base, source, max_quarantined=3)
    assert [(one.origin, one.message) for one in made.quarantine] == [
        (
            "data/a.json#annotations[1]",
            "the annotation's image_id is 9, but no sound entry of `images` has this id",
        ),
        (
            "data/a.json#annotations[2]",
            "the category id is 9, but no sound entry of `categories` has this id",
        ),
        ("data/a.json#annotations[4]", "the element is 5, not a JSON object"),
    ]
    assert [len(row["objects"]) for row in made.rows] == [2]
    assert '"curate.lost":{"annotations":2}' in made.rows[0]["meta"]


class Runs:
    """What a pickle makes of this is the answer of a command."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch gone",)


def test_files_that_would_run_code_are_quarantined_completely(base: Path) -> None:
    refs = [{"ref_id": 1, "ann_id": 1, "image_id": 1, "sentences": [Runs()]}]
    (base / "data/refs(unc).p").write_bytes(pickle.dumps(refs, protocol=2))
    (base / "data/instances.json").write_text('{"images": [], "annotations": [], "categories": []}')
    (base / "data/a.xml").write_text(
        '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><annotation>&b;</annotation>'
    )
    pickles = {"name": "refs", "reader": "refcoco", "path": "data/*.p", "media_root": "data"}
    made = run_recipe(base, pickles, {"name": "voc", "reader": "voc", "path": "data/*.xml"},
               max_quarantined=2)  # fmt: skip
    assert {(one.origin, one.error) for one in made.quarantine} == {
        ("data/refs(unc).p", "FileError"), ("data/a.xml", "FileError"),
    }  # fmt: skip
    assert not (base / "gone").exists()


def test_files_of_one_box_each_stop_the_run_if_they_contradict_the_space_together(
    base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(8):  # corners, which as x y width height reach out of the image
        one = {"id": 1, "image_id": 0, "category_id": 1, "bbox": [24, 18, 56, 42]}
        split = {
            "images": [{"id": 0, "file_name": "0.jpg", "width": 64, "height": 48}],
            "annotations": [one], "categories": [{"id": 1, "name": "cat"}],
        }  # fmt: skip
        (base / f"data/{number}.json").write_text(json.dumps(split))
    source = {"name": "boxes", "reader": "coco", "path": "data/*.json"}
    write_recipe(base, source)
    assert curate(base, "run", "recipe.yaml", "-o", "out", "--inline", "-q") == 1
    message = capsys.readouterr().err
    assert "data/*.json: 8 of 8 boxes do not fit the coordinate space 'xywh pixel'" in message
    assert "data/0.json#0" in message
    assert "'xyxy pixel'" in message
    assert not (base / "out/manifest.json").exists()
    write_recipe(base, {**source, "space": "xyxy pixel"})
    assert curate(base, "run", "recipe.yaml", "-o", "out", "--inline", "-q") == 0
