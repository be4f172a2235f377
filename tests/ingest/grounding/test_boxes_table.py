"""A table of annotated images is read with the columns and the space that a recipe names."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pydantic import ValidationError

from curate import cli
from curate.ingest.formats import nested_tables
from curate.ingest.grounding.boxes_table import BoxesTable
from curate.ingest.reader import Head
from manifests.errors import InputError
from manifests.storage import File
from tests.ingest.grounding.reading import PHOTO, read_annotated, write_files
from tests.ingest.kept import kept_bytes, read_kept
from tests.make import splits
from tests.runs import curate, run_recipe, write_recipe

BOX, UNITS = [10, 5, 20, 10], [100, 100, 300, 300]
"""A box in COCO's space, on an image of 100 x 50; and in thousandths."""


def boxes_table(path: str = "a.jsonl", **settings: Any) -> BoxesTable:
    given = {"name": "a", "path": path, "space": "coco", **settings}
    return BoxesTable.model_validate(given)


def jsonl(base: Path, *rows: dict[str, Any] | str) -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    return write_files(base, {"a.jsonl": "\n".join(lines), "a.jpg": PHOTO})


def only(reader: BoxesTable, base: Path) -> dict[str, Any]:
    found = read_annotated(reader, base)
    assert found.failures == {}
    [row] = found.records.values()
    return row


IN_OBJECTS = {"field": "objects", "box": "bbox", "label": "category"}
DOG = {"label": "dog", "box": UNITS}
FORMS: dict[str, tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]] = {
    "columns": (
        {"b": [BOX, BOX], "l": ["dog", None], "t": ["the dog", "it"]},
        {"boxes": "b", "labels": "l", "texts": "t"},
        [DOG | {"text": "the dog"}, {"box": UNITS, "text": "it"}],
    ),
    "one label for all": (
        {"b": [BOX, BOX], "l": "dog"}, {"boxes": "b", "labels": "l"}, [DOG, DOG],
    ),
    "one box": ({"b": BOX, "l": "dog"}, {"boxes": "b", "labels": "l"}, [DOG]),
    "points": (
        {"p": [[10, 5]], "l": "dog"}, {"points": "p", "labels": "l"},
        [{"label": "dog", "point": [100, 100]}],
    ),
    "points apart": (
        {"p": {"x": [10, 20], "y": [5, 10]}}, {"points": "p"},
        [{"point": [100, 100]}, {"point": [200, 200]}],
    ),
    "points named": ({"p": [{"x": 10, "y": 5}]}, {"points": "p"}, [{"point": [100, 100]}]),
    "polygons": (
        {"p": [[10, 5, 20, 5, 20, 10], [[10, 5], [20, 5], [20, 10]], [[10, 5, 20, 5, 20, 10]]]},
        {"polygons": "p"}, [{"polygon": [[100, 100, 200, 100, 200, 200]]}] * 3,
    ),
    "list of objects": (
        {"objects": [{"bbox": BOX, "category": "dog", "iscrowd": 0}]}, {"objects": IN_OBJECTS},
        [DOG | {"attributes": {"iscrowd": 0}}],
    ),
    "lists in an object": (
        {"objects": {"bbox": [BOX, BOX], "category": ["dog", "dog"], "area": [1, 2]}},
        {"objects": IN_OBJECTS},
        [DOG | {"attributes": {"area": 1}}, DOG | {"attributes": {"area": 2}}],
    ),
    "four fields": (
        {"o": [{"x": 10, "y": 5, "w": 20, "h": 10, "phrase": "my dog"}]},
        {"objects": {"field": "o", "box": ["x", "y", "w", "h"], "text": "phrase"}},
        [{"box": UNITS, "text": "my dog"}],
    ),
    "numbered": (
        {"b": [BOX], "l": [1]}, {"boxes": "b", "labels": "l", "names": ["cat", "dog"]}, [DOG],
    ),
    "numbered, no names": ({"b": [BOX], "l": [1]}, {"boxes": "b", "labels": "l"},
                           [DOG | {"label": "1"}]),
    "none": ({"b": []}, {"boxes": "b"}, []),
    "null": ({"objects": None}, {"objects": IN_OBJECTS}, []),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_objects_are_read_from_every_form_of_row(tmp_path: Path, form: str) -> None:
    cells, settings, objects = FORMS[form]
    jsonl(tmp_path, {"image": "a.jpg", **cells, "licence": "CC0"})
    assert only(boxes_table(**settings), tmp_path) == {
        "image": "a.jpg", "text": [], "objects": objects, "meta": {"licence": "CC0"},
    }  # fmt: skip


def test_parquet_with_embedded_images_keeps_their_bytes_and_uses_its_own_class_names(
    tmp_path: Path,
) -> None:
    names = {"_type": "ClassLabel", "names": ["cat", "dog"]}
    inner = {"bbox": {"feature": {"dtype": "float32"}}, "category": names}
    features = {"info": {"features": {"objects": {"feature": inner, "_type": "Sequence"}}}}
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    table = pa.table(
        {
            "image": pa.array([{"bytes": PHOTO, "path": "x.jpg"}, {"path": "a.jpg"}, None], image),
            "objects": [{"bbox": [BOX, BOX], "category": [1, 0]}] * 3,
            "id": [7, 8, 9],
            "caption": ["two pets", "", None],
        }
    ).replace_schema_metadata({"huggingface": json.dumps(features)})
    pq.write_table(table, write_files(tmp_path, {"a.jpg": PHOTO}) / "a.parquet")
    reader = boxes_table("a.parquet", objects=IN_OBJECTS, text="caption")
    pets = [DOG, DOG | {"label": "cat"}]
    found = read_annotated(reader, tmp_path)
    assert found.records == {
        "a.parquet#0": {"image": "kept:kept.bin", "text": ["two pets"], "objects": pets,
                        "meta": {"id": 7}},
        "a.parquet#1": {"image": "a.jpg", "text": [], "objects": pets, "meta": {"id": 8}},
    }  # fmt: skip
    assert found.failures == {
        "a.parquet#2": (
            "RowError",
            "the row has no image: the column 'image' is None, not a path",
        )
    }
    [batch] = read_kept(reader, tmp_path)
    assert kept_bytes(tmp_path, batch.records["media"][0].as_py()[0]) == PHOTO


def test_a_json_array_is_read_too(tmp_path: Path) -> None:
    rows = [{"file": "a.jpg", "b": [BOX]}, {"file": "none.jpg", "b": []}, 5]
    write_files(tmp_path, {"a.json": json.dumps(rows, indent=1), "photos/a.jpg": PHOTO})
    found = read_annotated(
        boxes_table("a.json", image="file", boxes="b", media_root="photos"), tmp_path
    )
    assert [*found.records] == ["a.json#0"]
    assert {key: fault[0] for key, fault in found.failures.items()} == {
        "a.json#1": "MediaError", "a.json#2": "RowError",
    }  # fmt: skip


def test_pixels_refer_to_the_size_in_the_row(tmp_path: Path) -> None:
    jsonl(tmp_path, {"image": "a.jpg", "b": [[20, 10, 40, 20]], "w": 200, "h": 100})
    row = only(boxes_table(boxes="b", width="w", height="h"), tmp_path)
    assert row["objects"] == [{"box": UNITS}]
    assert row["meta"] == {"w": 200, "h": 100}


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize(("exif", "box"), [
    ("shown", [100, 100, 300, 300]), ("stored", [600, 100, 800, 300]),
])  # fmt: skip
def test_boxes_on_stored_pixels_are_rotated_by_the_exif_orientation(
    tmp_path: Path, kept: bool, exif: str, box: list[int]
) -> None:
    """Orientation 6: an image stored as 100 x 50 is shown as 50 x 100, its left side on top."""
    out, tag = io.BytesIO(), Image.Exif()
    tag[0x0112] = 6
    Image.fromarray(np.zeros((50, 100, 3), np.uint8)).save(out, "JPEG", exif=tag)
    write_files(tmp_path, {"a.jpg": out.getvalue()})
    given = [5, 10, 10, 20] if exif == "shown" else [10, 10, 20, 10]
    image = {"bytes": out.getvalue()} if kept else {"path": "a.jpg"}
    pq.write_table(pa.table({"image": [image], "b": [[given]]}), tmp_path / "a.parquet")
    reader = boxes_table("a.parquet", boxes="b", space=f"xywh pixel {exif}")
    assert only(reader, tmp_path)["objects"] == [{"box": box}]


B = {"boxes": "b", "labels": "l"}
FAULTS: dict[str, tuple[dict[str, Any] | str, dict[str, Any], str]] = {
    "lengths": ({"b": [BOX], "l": ["a", "b"]}, B, "different lengths: 'b' has 1, 'l' has 2"),
    "no column": ({"l": "a"}, B, "there is no field 'b'; the fields are: image, l."),
    "no list": ({"b": [5], "l": 0}, {"objects": {"field": "b", "box": "x"}},
                "the field 'b' is [5], not a list of objects or an object of lists"),
    "words": ({"b": [["a", 1, 2, 3]], "l": "x"}, B, "object 0: ['a', 1, 2, 3] is not 4 numbers"),
    "short": ({"b": [[1, 2, 3]], "l": "x"}, B, "object 0: [1, 2, 3] is not 4 numbers"),
    "label": ({"b": [BOX], "l": [1.5]}, B, "a label is 1.5, neither text nor a whole number"),
    "unnamed": ({"b": [BOX], "l": [7]}, B | {"names": ["cat"]}, "class 7 has no name"),
    "points": ({"p": {"x": [1], "y": []}}, {"points": "p"}, "not lists x and y of the same length"),
    "size": ({"b": [BOX], "w": "9", "h": 9}, {"boxes": "b", "width": "w", "height": "h"},
             "the fields 'w' and 'h' are '9' and 9, not numbers"),
    "huge": ({"b": [BOX], "w": 10**400, "h": 9}, {"boxes": "b", "width": "w", "height": "h"},
             "and 9, not numbers"),
    "caption": ({"b": [BOX], "t": 5}, {"boxes": "b", "text": "t"}, "the field 't' is 5, not text"),
    "path": ({"image": 5, "b": [BOX], "l": "x"}, B, ("the row has no image: the column 'image' "
                                                    "is 5, not a path")),
    "out": ({"image": "../a.jpg", "b": [BOX], "l": "x"}, B, "is outside media_root"),
    "polygon": ({"p": [{"counts": "abc"}]}, {"polygons": "p"}, "a polygon is {'counts': 'abc'}"),
    "json": ('{"image": ', B, "broken JSON"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_broken_row_fails_alone(tmp_path: Path, name: str) -> None:
    cells, settings, fault = FAULTS[name]
    broken = cells if isinstance(cells, str) else {"image": "a.jpg"} | cells
    whole = {"image": "a.jpg", "b": [BOX] * 4, "l": 0, "p": [[1, 1]], "w": 100, "h": 50, "t": ""}
    if "objects" in settings:
        whole["b"] = [{"x": BOX}]
    jsonl(tmp_path, whole, broken, whole)
    found = read_annotated(boxes_table(**settings), tmp_path)
    assert [*found.records] == ["a.jsonl#1", "a.jsonl#3"]
    [(key, (_, message))] = found.failures.items()
    assert key == "a.jsonl#2"
    assert fault in message


def test_a_column_missing_from_a_parquet_file_stops_the_run(tmp_path: Path) -> None:
    pq.write_table(pa.table({"image": ["a.jpg"], "bbox": [[BOX]]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"no column 'box'. Did you mean 'bbox'\?.*'boxes'"):
        read_annotated(boxes_table("a.parquet", boxes="box"), tmp_path)


@pytest.mark.parametrize(("settings", "fault"), [
    ({}, "none of objects, boxes, points, polygons is set"),
    ({"boxes": "b", "objects": IN_OBJECTS}, "objects and boxes both name the annotations"),
    ({"boxes": "b", "width": "w"}, "width and height go together"),
    ({"objects": {"field": "o", "label": "x"}}, "`objects` names no field: set"),
    ({"boxes": "b", "space": "xyxz pixel"}, "is not a coordinate space: the word 'xyxz' is "
    "unknown"),
])  # fmt: skip
def test_incomplete_or_contradictory_settings_are_refused(
    settings: dict[str, Any], fault: str
) -> None:
    with pytest.raises(ValidationError, match=fault):
        boxes_table(**settings)


def test_a_recipe_without_a_space_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_recipe(tmp_path, {"name": "a", "reader": "boxes_table", "path": "a.jsonl", "boxes": "b"})
    assert curate(tmp_path, "run", "recipe.yaml", "-o", "out") == cli.MISTAKE
    assert "'space' is missing" in capsys.readouterr().err


def test_coordinates_that_contradict_the_space_stop_the_run(tmp_path: Path) -> None:
    jsonl(tmp_path, *[{"image": "a.jpg", "b": [[60, 30, 20, 10]]}] * 5)
    with pytest.raises(
        InputError, match=r"5 of 5 boxes do not fit the coordinate space 'xyxy pixel'.*'xywh pixel'"
    ):
        read_annotated(boxes_table(boxes="b", space="xyxy pixel"), tmp_path)


@pytest.mark.parametrize("kind", ["a.jsonl", "a.json", "a.parquet"])
def test_a_large_table_in_splits_gives_the_same_records(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"image": "a.jpg", "b": [[n % 50, 1, 2, 3]]} for n in range(90)]
    write_files(tmp_path, {"a.jpg": PHOTO, "a.json": json.dumps(rows)})
    jsonl(tmp_path, *rows)
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet", row_group_size=30)
    whole = read_annotated(boxes_table(kind, boxes="b"), tmp_path)
    monkeypatch.setattr(nested_tables, "MIN_SPLIT_BYTES", 500)
    monkeypatch.setattr("curate.ingest.formats.parquet.SPLIT_ROWS", 30)
    assert len(splits(boxes_table(kind, boxes="b"), str(tmp_path))) > 2
    assert read_annotated(boxes_table(kind, boxes="b"), tmp_path) == whole
    assert len(whole.records) == 90


@pytest.mark.parametrize(("data", "is_one"), [
    (b'{"image": "a.jpg", "b": [[1, 2, 3, 4]]}\n{"', True),
    (b'[{"image": "a.jpg", "o": [{"x": 1}]}]', True),
    (b'{"image": "a.jpg", "o": {"bbox": [[1, 2, 3, 4]]}}', True),
    (b'{"image": "a.jpg", "bbox": [1, 2, 3, 4]}', True),
    (b'{"image": "a.jpg", "size": [1, 2]}', False),
    (b'{"image": "a.jpg", "text": "b"}', False),
    (b'{"images": [{"id": 1}], "annotations": [{"bbox": [1, 2, 3, 4]}]}', False),
    (b"[]", False),
    (b"[5]", False),
    (b"", False),
])  # fmt: skip
def test_files_are_recognised_by_the_numbers_in_their_first_row(
    tmp_path: Path, data: bytes, is_one: bool
) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(data)
    assert BoxesTable.sniff(Head(File(str(path), "a.json", len(data), 0), data)) is is_one


def test_a_table_of_boxes_is_read_by_the_command_line(tmp_path: Path) -> None:
    jsonl(tmp_path, *[{"image": "a.jpg", "b": [BOX]}] * 3, {"image": "b.jpg", "b": [BOX]})
    source = {"name": "a", "reader": "boxes_table", "path": "a.jsonl", "boxes": "b"}
    made = run_recipe(tmp_path, source | {"space": "xywh pixel"})
    assert made.accounts["read a"] == (4, 3, {}, {"MediaError": 1})
