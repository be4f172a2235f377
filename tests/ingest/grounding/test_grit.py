"""A row of GRIT becomes a record with its caption and a box for each phrase."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate.ingest.grounding.grit import Grit
from curate.ingest.reader import Head
from manifests.errors import InputError
from manifests.storage import File
from tests.ingest.grounding.reading import PHOTO, read_annotated, write_files
from tests.runs import run_recipe

CAPTION = "A dog in a naïve hat"
DOG = [0.0, 5.0, 0.1, 0.2, 0.3, 0.4, 0.875]
HAT = [9.0, 20.0, 0.5, 0.5, 1.0, 1.0, 0.5]
ROW = {
    "key": "000010005",
    "url": "https://example.org/dog.jpg",
    "caption": CAPTION,
    "width": 100,
    "height": 50,
    "clip_similarity_vitb32": 0.25,
    "noun_chunks": [HAT],
    "ref_exps": [DOG, HAT],
}


def grit(**settings: Any) -> Grit:
    return Grit.model_validate({"name": "a", "path": "a.jsonl", "media_root": "jpg"} | settings)


def rows(base: Path, *changes: dict[str, Any]) -> Path:
    lines = "\n".join(json.dumps(ROW | change) for change in changes)
    return write_files(base, {"a.jsonl": lines, "jpg/00001/000010005.jpg": PHOTO})


def expected_object(
    label: str, box: list[float], start: int, end: int, score: float
) -> dict[str, Any]:
    attributes = {"start": start, "end": end, "score": score}
    return {"label": label, "box": box, "attributes": attributes}


def expected(used: str) -> dict[str, Any]:
    expected = [expected_object("A dog", [100, 200, 300, 400], 0, 5, 0.875)] * (used == "ref_exps")
    expected += [expected_object("a naïve hat", [500, 500, 1000, 1000], 9, 20, 0.5)]
    return {
        "image": "jpg/00001/000010005.jpg",
        "text": [CAPTION],
        "objects": expected,
        "meta": {k: v for k, v in ROW.items() if k not in ("caption", used)},
    }


@pytest.mark.parametrize("used", ["ref_exps", "noun_chunks"])
@pytest.mark.parametrize("kind", ["a.jsonl", "a.parquet"])
def test_a_phrase_is_the_part_of_the_caption_that_its_floats_name(
    tmp_path: Path, kind: str, used: str
) -> None:
    table = pa.Table.from_pylist([ROW])
    pq.write_table(table, rows(tmp_path, {}) / "a.parquet")
    found = read_annotated(grit(path=kind, phrases=used), tmp_path)
    assert found.records == {f"{kind}#{int(kind == 'a.jsonl')}": expected(used)}
    assert found.failures == {}


@pytest.mark.parametrize(("change", "fault"), [
    ({"caption": None}, "'caption' is None, not text"),
    ({"ref_exps": None}, "'ref_exps' is None, not a list of phrases"),
    ({"ref_exps": [[0.0, 5.0]]}, ("a phrase is [0.0, 5.0], not a list of start, end, four box "
                                 "coordinates and a score")),
    ({"ref_exps": [[0.5, *DOG[1:]]]}, "a phrase goes from 0.5 to 5.0, which are not whole numbers"),
    ({"ref_exps": [[0.0, 21.0, *DOG[2:]]]}, ("a phrase goes from character 0 to 21, but the "
                                            "caption has 20 characters")),
    ({"ref_exps": [[5.0, 5.0, *DOG[2:]]]}, ("a phrase goes from character 5 to 5, but the "
                                           "caption has 20 characters")),
    ({"ref_exps": [[-1.0, *DOG[1:]]]}, ("a phrase goes from character -1 to 5, but the caption "
                                       "has 20 characters")),
    ({"ref_exps": [["a", *DOG[1:]]]}, "a phrase goes from 'a' to 5.0, which are not whole numbers"),
    ({"ref_exps": [[0.0, 5.0, None, *DOG[3:]]]}, "object 0: [None, 0.2, 0.3, 0.4] is not 4"),
    ({"key": "000010006", "url": "https://example.org/b"}, "no image file for 'https://example.org/b'"),
    ({"width": 50}, "the annotations refer to an image of 50 x 50, but the image file is 100 x 50"),
])  # fmt: skip
def test_a_broken_row_fails_alone(tmp_path: Path, change: dict[str, Any], fault: str) -> None:
    rows(tmp_path, {}, change, {})
    found = read_annotated(grit(), tmp_path)
    assert [*found.records] == ["a.jsonl#1", "a.jsonl#3"]
    [(key, (_, message))] = found.failures.items()
    assert key == "a.jsonl#2"
    assert fault in message


def test_a_caption_with_no_phrases_is_an_image_without_objects(tmp_path: Path) -> None:
    rows(tmp_path, {"ref_exps": [], "width": None})
    [row] = read_annotated(grit(), tmp_path).records.values()
    assert (row["objects"], row["text"]) == ([], [CAPTION])


def test_boxes_in_pixels_stop_the_run_and_the_space_that_fits_is_named(tmp_path: Path) -> None:
    pixels = [0.0, 5.0, 20, 20, 90, 45, 0.5]
    rows(tmp_path, *[{"ref_exps": [pixels]}] * 3)
    with pytest.raises(
        InputError, match=r"do not fit the coordinate space 'xyxy fraction'.*'xyxy pixel'"
    ):
        read_annotated(grit(), tmp_path)
    assert len(read_annotated(grit(space="xyxy pixel"), tmp_path).records) == 3


def test_files_are_recognised_by_their_columns_and_read_by_the_command_line(tmp_path: Path) -> None:
    rows(tmp_path, {}, {}, {"caption": 5})
    data = (tmp_path / "a.jsonl").read_bytes()
    head = Head(File("a.jsonl", "a.jsonl", len(data), 0), data)
    assert Grit.sniff(head)
    assert not Grit.sniff(head._replace(data=b'{"caption": "x", "url": "y"}'))
    source = {"name": "a", "reader": "grit", "path": "a.jsonl", "media_root": "jpg"}
    made = run_recipe(tmp_path, source | {"file": "{key[0:5]}/{key}.jpg"})
    assert made.accounts["read a"] == (3, 2, {}, {"RowError": 1})
