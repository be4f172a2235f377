"""A YOLO label file becomes one record with its boxes and polygons, or one failure."""

from __future__ import annotations

from pathlib import Path

import pytest

from curate.ingest.grounding.annotations import file_per_image
from curate.ingest.grounding.yolo import Yolo
from curate.ingest.reader import Head
from manifests.errors import InputError
from manifests.storage import File
from tests.ingest.grounding.reading import PHOTO, read_annotated, write_files
from tests.runs import run_recipe

NAMES = "cat\ndog\n"


def yolo(**settings: object) -> Yolo:
    return Yolo.model_validate({"name": "a", "path": "labels", "names": ["cat", "dog"]} | settings)


def test_lines_are_boxes_boxes_with_a_confidence_or_polygons(tmp_path: Path) -> None:
    lines = "1 0.5 0.5 0.2 0.4\r\n\n0 .5 .5 1 1 0.875\n0 0.1 0.2 0.3 0.2 0.3 0.6\n"
    write_files(tmp_path, {"images/a.jpg": PHOTO, "labels/a.txt": "\ufeff" + lines})
    assert read_annotated(yolo(), tmp_path).records["labels/a.txt"] == {
        "image": "images/a.jpg",
        "text": [],
        "objects": [
            {"label": "dog", "box": [400, 300, 600, 700]},
            {"label": "cat", "box": [0, 0, 1000, 1000], "attributes": {"confidence": 0.875}},
            {"label": "cat", "polygon": [[100, 200, 300, 200, 300, 600]]},
        ],
        "meta": None,
    }


TRACK = "0 0.3125 0.3125 0.3125 0.208333 0.91 1\n"
TRACK_WITHOUT_CONFIDENCE = "0 0.5 0.5 0.2 0.4 27\n"


def test_a_track_is_a_box_if_the_setting_chooses_it(tmp_path: Path) -> None:
    lines = TRACK + TRACK_WITHOUT_CONFIDENCE + "0 0.1 0.2 0.3 0.2 0.3 0.6\n"
    write_files(tmp_path, {"images/a.jpg": PHOTO, "labels/a.txt": lines})
    assert read_annotated(yolo(tracks=True), tmp_path).records["labels/a.txt"]["objects"] == [
        {
            "label": "cat",
            "box": [156.25, 208.333, 468.75, 416.667],
            "attributes": {"confidence": 0.91, "track": 1},
        },
        {"label": "cat", "box": [400, 300, 600, 700], "attributes": {"track": 27}},
        {"label": "cat", "polygon": [[100, 200, 300, 200, 300, 600]]},
    ]


@pytest.mark.parametrize(("line", "reading"), [
    (TRACK, "a coordinate of a polygon of three points"),
    ("0 0.5 0.5 0.2 0.4 1\n", "the confidence of the box"),
])  # fmt: skip
def test_a_line_with_two_readings_fails_its_file_until_the_setting_chooses(
    tmp_path: Path, line: str, reading: str
) -> None:
    write_files(tmp_path, {"images/a.jpg": PHOTO, "labels/a.txt": line})
    found = read_annotated(yolo(), tmp_path)
    assert found.records == {}
    assert found.failures["a.txt"] == ("RowError", (
        f"line 1: the last number, 1, may be the id of a track or {reading}. Set `tracks: "
        "true` if it is the id of a track, otherwise `tracks: false`."))  # fmt: skip
    for tracks in (True, False):
        assert len(read_annotated(yolo(tracks=tracks), tmp_path).records) == 1


def test_an_empty_file_is_an_image_without_objects(tmp_path: Path) -> None:
    write_files(tmp_path, {"images/a.jpg": PHOTO, "labels/a.txt": "", "labels/b.txt": "\n"})
    found = read_annotated(yolo(), tmp_path)
    assert found.records["labels/a.txt"]["objects"] == []
    assert found.failures["b.txt"] == ("MediaError", (
        "there is no image for this annotation file in images: looked for b. Copy the image "
        "to this folder, or set media_root to the folder of the images."))  # fmt: skip


@pytest.mark.parametrize(("label", "photo", "settings"), [
    ("labels/train/a.txt", "images/train/a.png", {}),
    ("labels/x/labels/a.txt", "labels/x/images/a.jpg", {}),
    ("boxes/a.txt", "boxes/a.jpg", {"path": "boxes"}),
    ("labels/train/a.txt", "photos/train/a.jpg", {"media_root": "photos"}),
    ("labels/train/a.txt", "photos/a.jpg", {"media_root": "photos"}),
    ("labels/a.b.txt", "images/a.b.jpg", {}),
])  # fmt: skip
def test_images_are_in_the_folder_images_or_below_media_root(
    tmp_path: Path, label: str, photo: str, settings: dict[str, str]
) -> None:
    write_files(tmp_path, {label: "0 .5 .5 .1 .1", photo: PHOTO})
    assert read_annotated(yolo(**settings), tmp_path).records[label]["image"] == photo


def test_labels_of_two_folders_are_not_read_with_one_image(tmp_path: Path) -> None:
    line = "0 .5 .5 .1 .1"
    files = {f"labels/{name}.txt": line for name in ("train/a", "val/a", "train/b", "val/c")}
    write_files(tmp_path, files | {f"photos/{name}.jpg": PHOTO for name in ("a", "b", "val/c")})
    found = read_annotated(yolo(media_root="photos"), tmp_path)
    assert {key: row["image"] for key, row in found.records.items()} == {
        "labels/train/b.txt": "photos/b.jpg", "labels/val/c.txt": "photos/val/c.jpg",
    }  # fmt: skip
    assert found.failures["train/a.txt"] == (
        "RowError",
        "photos/a.jpg: the image is not in the same folder as the file 'train/a.txt', so the image "
        "may belong to 'val/a.txt' instead. Put the images in the same folders as the annotation "
        "files, below media_root.",
    )
    write_files(tmp_path, {"photos/val/a.jpg": PHOTO})
    found = read_annotated(yolo(media_root="photos"), tmp_path)
    assert found.records["labels/val/a.txt"]["image"] == "photos/val/a.jpg"
    assert [*found.failures] == ["train/a.txt"]


def test_files_of_one_name_are_in_one_group_of_files(tmp_path: Path) -> None:
    names = [f"{folder}/{n}.txt" for n in range(500) for folder in "abc"]
    files = [File(name, name, 20, 0) for name in names]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(file_per_image, "GROUP_FILES", 20)
        groups = yolo().groups(files)
        fewer = yolo().groups(files[3:])
    assert len(groups) > 9
    assert sorted(file for group in groups for file in group) == sorted(files)
    owners = {file.name[2:]: n for n, group in enumerate(groups) for file in group}
    assert all(owners[file.name[2:]] == n for n, group in enumerate(groups) for file in group)
    assert sum(group not in groups for group in fewer) <= 1


@pytest.mark.parametrize(("file", "content", "setting"), [
    ("labels/classes.txt", NAMES, None),
    ("classes.txt", NAMES, None),
    ("data.yaml", "path: x\nnc: 2\nnames: [cat, dog]\n", None),
    ("data.yaml", "names:\n  0: cat\n  1: dog\n", None),
    ("labels/train/classes.txt", NAMES, None),
    ("elsewhere/my.yaml", "names: {1: dog}", "elsewhere/my.yaml"),
    ("elsewhere/my.names", NAMES, "elsewhere/my.names"),
])  # fmt: skip
def test_class_names_come_from_the_given_file_or_one_near_the_labels(
    tmp_path: Path, file: str, content: str, setting: str | None
) -> None:
    write_files(tmp_path, {"images/train/a.jpg": PHOTO, "labels/train/a.txt": "1 .5 .5 .1 .1"})
    write_files(tmp_path, {file: content})
    found = read_annotated(yolo(names=setting), tmp_path)
    assert [o["label"] for o in found.records["labels/train/a.txt"]["objects"]] == ["dog"]
    assert found.failures == {}


@pytest.mark.parametrize(("files", "setting", "fault"), [
    ({}, None, r"labels: none of classes.txt, obj.names, data.yaml, dataset.yaml is in this"),
    ({}, "c.txt", r"c.txt: the file of class names does not exist. Set `names` to the path"),
    ({"c.yaml": "names: 5"}, "c.yaml", r"`names` is 5, neither a list of names nor"),
    ({"c.yaml": "train: x"}, "c.yaml", r"`names` is None, neither a list of names nor"),
    ({"c.yaml": "names: {cat: 0}"}, "c.yaml", r"neither a list of names nor"),
    ({"data.yaml": "kpt_shape: [4, 3]\nnames: [cat]"}, None, r"data.yaml: the file has `kpt_"),
    ({"c.yaml": "names: ["}, "c.yaml", r"broken YAML"),
    ({"c.yaml": "names:\n  0: a\n  0: b"}, "c.yaml", r"line 3: the key '0' is in line 2"),
    ({"c.yaml": "names: {0: a, '0 ': b}"}, "c.yaml", r"`names` has the same class number twice"),
    ({"c.txt": b"\xff"}, "c.txt", r"byte 0 of the file is not UTF-8"),
])  # fmt: skip
def test_missing_class_names_stop_the_run(
    tmp_path: Path, files: dict[str, bytes | str], setting: str | None, fault: str
) -> None:
    write_files(tmp_path, {"images/a.jpg": PHOTO, "labels/a.txt": "1 .5 .5 .1 .1", **files})
    with pytest.raises(InputError, match=fault):
        read_annotated(yolo(names=setting), tmp_path)


@pytest.mark.parametrize(("line", "error", "fault"), [
    ("2 .5 .5 .1 .1", "RowError", "line 2: class '2' has no name: only 2 class names are known"),
    ("-1 .5 .5 .1 .1", "RowError", "line 2: the class is '-1', not a number of up to 9 digits."),
    ("9999999999 .5 .5 .1 .1", "RowError", "line 2: the class is '9999999999', not a number"),
    ("0 .5 .5 .1", "RowError", "line 2: 3 numbers after the class are neither a box (4 or 5"),
    ("0 .5 .5 .1 .1 " + ".5 .5 2 " * 17, "RowError", "line 2: 55 numbers after the class"),
    ("0 .5 .5 x .1", "RowError", ("line 2: '0 .5 .5 x .1' is not a class number followed by "
                                 "numbers")),
    ("0 .5 .5 nan .1", "RowError", "is not a class number followed by numbers"),
    ("0 9 9 .1 .1", "RowError", "[9, 9, 0.1, 0.1] are impossible on an image"),
    ("\udcff", "FileError", "byte 12 of the file is not UTF-8"),
])  # fmt: skip
def test_a_broken_line_fails_its_file_alone(
    tmp_path: Path, line: str, error: str, fault: str
) -> None:
    data = f"1 .5 .5 1 1\n{line}".encode(errors="surrogateescape")
    write_files(tmp_path, {f"images/{n}.jpg": PHOTO for n in "abc"})
    write_files(tmp_path, {f"labels/{n}.txt": "1 .5 .5 .1 .1\n" * 5 for n in "ac"})
    write_files(tmp_path, {"labels/b.txt": data})
    found = read_annotated(yolo(), tmp_path)
    assert [*found.records] == ["labels/a.txt", "labels/c.txt"]
    assert found.failures["b.txt"][0] == error
    assert fault in found.failures["b.txt"][1]


@pytest.mark.parametrize(("line", "what", "space"), [
    ("0 10 10 30 30\n0 20 20 80 40", "boxes", "xyxy pixel"),
    ("0 10 10 30 10 30 45", "points", "xyxy pixel"),
    ("0 50 50 20 40", "boxes", "cxcywh percent"),
])  # fmt: skip
def test_coordinates_that_are_not_fractions_are_refused_with_the_space_that_fits(
    tmp_path: Path, line: str, what: str, space: str
) -> None:
    write_files(tmp_path, {f"images/{n}.jpg": PHOTO for n in "abc"})
    write_files(tmp_path, {f"labels/{n}.txt": line for n in "abc"})
    with pytest.raises(
        InputError, match=f"{what} do not fit the coordinate space 'cxcywh fraction'"
    ) as raised:
        read_annotated(yolo(), tmp_path)
    assert f"'{space}'" in raised.value.fix
    assert len(read_annotated(yolo(space=space), tmp_path).records) == 3


@pytest.mark.parametrize(("data", "is_yolo"), [
    (b"0 0.5 0.5 0.1 0.1\n", True),
    (b"\n12 0.5 0.5 0.1 0.1 0.3 0.3\n", True),
    (b"./images/a.jpg\n", False),
    (b"0.5 0.5 0.1 0.1 0.1\n", False),
    (b"cat\ndog\n", False),
    (b"nan 1 1 1 1", False),
    (b"0 1 1 1 nan", False),
    (b"\n", False),
])  # fmt: skip
def test_files_are_recognised_by_their_first_line(data: bytes, is_yolo: bool) -> None:
    assert Yolo.sniff(Head(File("a.txt", "a.txt", len(data), 0), data)) is is_yolo


def test_a_folder_of_labels_is_read_by_the_command_line(tmp_path: Path) -> None:
    write_files(tmp_path, {f"images/{n}.jpg": PHOTO for n in "0ab"})
    write_files(tmp_path, {f"labels/{n}.txt": "1 .5 .5 .1 .1" for n in "abc"})
    write_files(tmp_path, {"labels/classes.txt": NAMES, "labels/0.txt": "\n"})
    made = run_recipe(tmp_path, {"name": "a", "reader": "yolo", "path": "labels"})
    assert made.accounts["read a"] == (4, 3, {}, {"MediaError": 1})
    assert [lost.origin for lost in made.quarantine] == ["labels/c.txt"]
