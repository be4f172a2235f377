"""A LabelMe file becomes one record with its shapes, or one failure with its reason."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from curate.ingest.grounding.labelme import LabelMe
from curate.ingest.reader import Head
from manifests.errors import InputError
from manifests.storage import File
from tests.ingest.grounding.reading import PHOTO, read_annotated, write_files
from tests.ingest.kept import kept_bytes, read_kept
from tests.make import make_image
from tests.runs import run_recipe


def labelme(**settings: Any) -> LabelMe:
    return LabelMe.model_validate({"name": "a", "path": "json", "media_root": "jpg"} | settings)


def shape(kind: str, *points: Sequence[object], **more: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {"group_id": None, "flags": {}, "description": ""}
    return {"label": "cat", "points": points, "shape_type": kind} | empty | more


def content(*shapes: Any, **more: Any) -> str:
    fields = {"version": "5.0.1", "flags": {}, "shapes": shapes, "imagePath": "..\\jpg\\a.jpg"}
    return json.dumps(fields | {"imageData": None, "imageHeight": 50, "imageWidth": 100} | more)


def mask(width: int, height: int) -> str:
    return base64.b64encode(make_image(width, height, kind="PNG")).decode()


DIAMOND = [[20, 5], [30, 10], [20, 15], [10, 10]]
RING = [[200, 100, 300, 200, 200, 300, 100, 200]]
SHAPES: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {
    "rectangle": (shape("rectangle", [10, 10], [30, 5]), [{"box": [100, 100, 300, 200]}]),
    "drawn upwards": (shape("rectangle", [30, 10], [10, 5]), [{"box": [100, 100, 300, 200]}]),
    "polygon": (
        shape("polygon", [10, 5], [20, 5], [20, 10.5]),
        [{"polygon": [[100, 100, 200, 100, 200, 210]]}],
    ),
    "line": (shape("line", [10, 5], [20, 5]), [{"polygon": [[100, 100, 200, 100]]}]),
    "linestrip": (shape("linestrip", [10, 5], [20, 5]), [{"polygon": [[100, 100, 200, 100]]}]),
    "point": (shape("point", [10, 5]), [{"point": [100, 100]}]),
    "circle": (
        shape("circle", [50, 25], [53, 29]),
        [{"box": [450, 400, 550, 600], "points": [[50, 25], [53, 29]]}],
    ),
    "mask": (
        shape("mask", [10, 5], [30, 10], mask=mask(21, 6)),
        [{"box": [100, 100, 310, 220], "mask": mask(21, 6)}],
    ),
    "mask by its edges": (
        shape("mask", [10, 5], [30, 10], mask=mask(20, 5)),
        [{"box": [100, 100, 300, 200], "mask": mask(20, 5)}],
    ),
    "mask without an image": (
        shape("mask", [10, 5], [30, 10]),
        [{"box": [100, 100, 310, 220]}],
    ),
    "four corners": (
        shape("rectangle", [30, 10], [10, 10], [10, 5], [30, 5]),
        [{"box": [100, 100, 300, 200]}],
    ),
    "rotation": (
        shape("rotation", *DIAMOND, direction=0.78),
        [{"box": [100, 100, 300, 300], "polygon": RING, "direction": 0.78}],
    ),
    "oriented_rectangle": (
        shape("oriented_rectangle", *DIAMOND),
        [{"box": [100, 100, 300, 300], "polygon": RING}],
    ),
    "quadrilateral": (
        shape("quadrilateral", *DIAMOND),
        [{"box": [100, 100, 300, 300], "polygon": RING}],
    ),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_is_an_object_and_nothing_of_it_is_lost(tmp_path: Path, name: str) -> None:
    drawn, wanted = SHAPES[name]
    fields = drawn | {"group_id": 0, "flags": {"blurred": True}}
    write_files(tmp_path, {"json/b.json": content(fields), "jpg/a.jpg": PHOTO})
    for one in wanted:
        own = {key: one.pop(key) for key in ("points", "mask", "direction") if key in one}
        kind = {"group_id": 0, "flags": {"blurred": True}, "shape_type": drawn["shape_type"]}
        one |= {"label": "cat", "attributes": kind | own}
    found = read_annotated(labelme(), tmp_path)
    assert found.failures == {}
    assert found.records == {
        "json/b.json": {
            "image": "jpg/a.jpg",
            "text": [],
            "objects": wanted,
            "meta": {"version": "5.0.1", "flags": {}, "imagePath": "..\\jpg\\a.jpg",
                     "imageHeight": 50, "imageWidth": 100},
        }
    }  # fmt: skip


def test_each_point_of_a_shape_without_a_group_is_an_object(tmp_path: Path) -> None:
    text = content(shape("points", [10, 5], [20, 5]))
    write_files(tmp_path, {"json/b.json": text, "jpg/a.jpg": PHOTO})
    found = read_annotated(labelme(), tmp_path).records["json/b.json"]["objects"]
    assert [one["point"] for one in found] == [[100, 100], [200, 100]]


def test_shapes_of_one_label_and_group_are_one_object(tmp_path: Path) -> None:
    triangles = [[10, 5], [20, 5], [20, 10]], [[40, 20], [50, 20], [50, 30]]
    shapes = [
        shape("polygon", *triangles[0], group_id=1),
        shape("polygon", *triangles[0], group_id=2),
        shape("polygon", *triangles[0], group_id=1, label="dog"),
        shape("polygon", *triangles[1], group_id=1),
        shape("mask", [60, 5], [69, 9], group_id=2, mask=mask(10, 5)),
        shape("point", [10, 5], group_id=2),
        shape("points", [1, 2], [3, 4], group_id=3, label="ear"),
        shape("polygon", *triangles[0]),
        shape("polygon", *triangles[0]),
    ]
    write_files(tmp_path, {"json/b.json": content(*shapes), "jpg/a.jpg": PHOTO})
    ring, other = [100, 100, 200, 100, 200, 200], [400, 400, 500, 400, 500, 600]
    found = read_annotated(labelme(), tmp_path)
    polygon = {"shape_type": "polygon"}
    assert found.failures == {}
    assert found.records["json/b.json"]["objects"] == [
        {"label": "cat", "box": [100, 100, 500, 600], "polygon": [ring, other],
         "attributes": polygon | {"group_id": 1}},
        {"label": "cat", "box": [100, 100, 700, 200], "polygon": [ring], "point": [100, 100],
         "attributes": {"group_id": 2, "parts": [
             polygon,
             {"shape_type": "mask", "mask": mask(10, 5), "box": [60, 5, 70, 10]},
             {"shape_type": "point"},
         ]}},
        {"label": "dog", "polygon": [ring], "attributes": polygon | {"group_id": 1}},
        {"label": "ear", "attributes": {"group_id": 3, "shape_type": "points",
                                        "parts": [{"point": [1, 2]}, {"point": [3, 4]}]}},
        {"label": "cat", "polygon": [ring], "attributes": polygon},
        {"label": "cat", "polygon": [ring], "attributes": polygon},
    ]  # fmt: skip


def test_the_embedded_image_is_kept_if_there_is_no_file(tmp_path: Path) -> None:
    data = base64.b64encode(PHOTO).decode()
    write_files(
        tmp_path, {"json/b.json": content(shape("point", [10, 5]), imageData=data), "jpg/x": ""}
    )
    [batch] = read_kept(labelme(), tmp_path)
    [row] = batch.records.to_pylist()
    assert kept_bytes(tmp_path, row["media"][0]) == PHOTO
    assert (row["media"][0]["orientation"], row["objects"][0]["point"]) == (1, [100, 100])
    assert "imageData" not in row["meta"]
    write_files(tmp_path, {"jpg/b.jpg": PHOTO})
    assert read_annotated(labelme(), tmp_path).records["json/b.json"]["image"] == "jpg/b.jpg"


def test_numbers_are_of_the_size_that_the_file_states(tmp_path: Path) -> None:
    half = content(shape("point", [10, 5]), imageHeight=25, imageWidth=50)
    write_files(tmp_path, {"json/b.json": half, "jpg/a.jpg": PHOTO})
    assert read_annotated(labelme(), tmp_path).records["json/b.json"]["objects"][0]["point"] == [
        200,
        200,
    ]


BROKEN: dict[str, tuple[str, str, str]] = {
    "json": ('{"shapes": [', "FileError", "broken JSON: "),
    "list": (
        "[]",
        "FileError",
        "the file contains [], not a JSON object. If this is no annotation file, leave it out",
    ),
    "no shapes": (
        '{"imagePath": "a.jpg"}',
        "FileError",
        "the field 'shapes' is None, not a list. If this is no annotation file, leave it out with",
    ),
    "no shape": (content(5), "RowError", "shape 0 is 5, not a JSON object"),
    "unnamed": (content(shape("point", [1, 2], label=None)), "RowError", "label of shape 0 is No"),
    "no points": (content(shape("point")), "RowError", "shape 0, a 'point': 'points' is []"),
    "words": (
        content(shape("point", ["a", 2])),
        "RowError",
        "the point ['a', 2] is not two numbers, x and y",
    ),
    "triple": (
        content(shape("point", [1, 2, 3])),
        "RowError",
        "[1, 2, 3] is not two numbers, x and y",
    ),
    "few": (
        content(shape("polygon", [1, 2], [3, 4])),
        "RowError",
        "'polygon': a shape of this type cannot have 2 points",
    ),
    "many": (
        content(shape("rectangle", *[[1, 2]] * 3)),
        "RowError",
        "'rectangle': a shape of this type cannot have 3 points",
    ),
    "unknown": (
        content(shape("cube", [1, 2])),
        "RowError",
        "a 'cube': this shape type is not supported",
    ),
    "group": (
        content(shape("point", [1, 2], group_id=[1])),
        "RowError",
        "the 'group_id' of shape 0 is [1], not a number or text",
    ),
    "no mask": (
        content(shape("mask", [1, 2], [3, 4], mask="iVBO")),
        "RowError",
        "shape 0, a 'mask': 'mask' is 'iVBO', not an image in base64",
    ),
    "mask of another kind": (
        content(shape("mask", [1, 2], [3, 4], mask={"a": 1})),
        "RowError",
        "shape 0, a 'mask': 'mask' is {'a': 1}, not an image in base64",
    ),
    "huge": (
        content(shape("circle", [1, 2], [10**400, 4])),
        "RowError",
        "is not two numbers, x and y",
    ),
    "other mask": (
        content(shape("mask", [1, 2], [3, 4], mask=mask(9, 9))),
        "RowError",
        "the mask image has 9 x 9 pixels, but the two points of the mask enclose 3 x 3 pixels",
    ),
    "aspect": (
        content(imageWidth=50),
        "RowError",
        "Check that the annotations belong to this image: the aspect ratios differ.",
    ),
    "data": (content(imagePath="x", imageData="%%"), "RowError", "'imageData' is not base64"),
    "no data": (content(imagePath="x"), "MediaError", "annotation file in jpg: looked for x, b"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_fails_alone(tmp_path: Path, name: str) -> None:
    data, error, fault = BROKEN[name]
    whole = content(*[shape("point", [10, 5])] * 4)
    write_files(tmp_path, {"jpg/a.jpg": PHOTO, "json/b.json": data})
    write_files(tmp_path, {"json/a.json": whole, "json/c.json": whole})
    found = read_annotated(labelme(), tmp_path)
    assert [*found.records] == ["json/a.json", "json/c.json"]
    assert [*found.failures] == ["b.json"]
    assert found.failures["b.json"][0] == error
    assert fault in found.failures["b.json"][1]


def test_polygons_in_another_space_stop_the_run(tmp_path: Path) -> None:
    shares = content(shape("polygon", [0.1, 0.1], [0.5, 0.2], [0.9, 0.8]))
    write_files(tmp_path, {f"json/{n}.json": shares for n in "abc"} | {"jpg/a.jpg": PHOTO})
    with pytest.raises(InputError, match=r"would fit 'xyxy fraction'"):
        read_annotated(labelme(), tmp_path)
    row = read_annotated(labelme(space="fraction"), tmp_path).records["json/a.json"]
    assert row["objects"][0]["polygon"] == [[100, 100, 500, 200, 900, 800]]


def test_files_are_recognised_by_their_keys_and_read_by_the_command_line(tmp_path: Path) -> None:
    data = content(shape("point", [1, 2])).encode()
    head = Head(File("a.json", "a.json", len(data), 0), data)
    assert LabelMe.sniff(head)
    assert not LabelMe.sniff(head._replace(data=b'{"shapes": [], "images": []}'))
    assert not LabelMe.sniff(head._replace(data=b"[]"))
    write_files(tmp_path, {"json/b.json": data, "json/c.json": "{", "jpg/a.jpg": PHOTO})
    source = {"name": "a", "reader": "labelme", "path": "json", "media_root": "jpg"}
    assert run_recipe(tmp_path, source).accounts["read a"] == (2, 1, {}, {"FileError": 1})
