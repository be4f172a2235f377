"""Omni3D's boxes and cameras become those of the record; the file's corners confirm them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curate.ingest import sniff
from curate.ingest.grounding.omni3d import Omni3d
from manifests import storage
from manifests.geometry.cuboid import corners, matrices_from_euler
from tests.ingest.grounding.reading import messages, objects, read_rows, write_file
from tests.make import make_image

K = [[400.0, 0.0, 100.0], [0.0, 410.0, 50.0], [0.0, 0.0, 1.0]]
IMAGE = {
    "id": 7, "dataset_id": 3, "width": 200, "height": 100, "file_path": "datasets/own/a.jpg",
    "K": K, "src_90_rotate": 0, "src_flagged": False,
}  # fmt: skip
CENTRE, WIDTH, HEIGHT, LENGTH = [1.0, 0.5, 12.0], 1.8, 1.5, 4.2
ANGLES = [0.1, -0.7, 0.2]
NONE = [-1, -1, -1, -1]


def eight(rotation: np.ndarray) -> list[list[float]]:
    """The corners of the dataset's drawing (DATA.md): v0 v1 v2 v3 in front, v4 to v7 behind them;
    left to right is the length, top to bottom the height, front to back the width."""
    own = [
        (LENGTH / 2 * x, HEIGHT / 2 * y, WIDTH / 2 * z)
        for z in (-1, 1)
        for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))
    ]
    return [(rotation @ np.array(place) + CENTRE).tolist() for place in own]


def annotation(**changes: Any) -> dict[str, Any]:
    rotation = matrices_from_euler(np.array([ANGLES]))[0]
    return {
        "id": 1, "image_id": 7, "dataset_id": 3, "category_id": 5, "category_name": "car",
        "valid3D": True, "bbox2D_tight": [20, 10, 120, 60], "bbox2D_proj": [10, 0, 130, 70],
        "bbox2D_trunc": [10, 5, 130, 65], "bbox3D_cam": eight(rotation), "center_cam": CENTRE,
        "dimensions": [WIDTH, HEIGHT, LENGTH], "R_cam": rotation.tolist(),
        "behind_camera": False, "visibility": 0.9, "truncation": 0.1, "segmentation_pts": -1,
        "lidar_pts": 14, "depth_error": -1,
    } | changes  # fmt: skip


@pytest.fixture(autouse=True)
def _media(tmp_path: Path) -> None:
    write_file(tmp_path / "datasets" / "own" / "a.jpg", make_image(200, 100))


def omni(base: Path, *annotations: Any, image: Any = IMAGE, **settings: Any) -> Any:
    categories = [{"id": 5, "name": "car"}, {"id": 6, "name": "van"}]
    whole = {"images": [image], "annotations": list(annotations), "categories": categories}
    write_file(base / "a.json", {"info": {}} | whole)
    return read_rows(Omni3d(name="own", path="a.json", **settings), base)


def test_a_valid_annotation_has_a_3d_box_a_box_and_known_attributes(tmp_path: Path) -> None:
    rows, failures = omni(tmp_path, annotation())
    assert failures == []
    (made,) = objects(rows[0])
    assert made.pop("box3d") == pytest.approx([*CENTRE, LENGTH, HEIGHT, WIDTH, *ANGLES], abs=1e-6)
    assert made == {
        "label": "car",
        "box": [100, 100, 600, 600],
        "attributes": {
            "bbox2D": "tight", "id": 1, "dataset_id": 3, "valid3D": True, "behind_camera": False,
            "visibility": 0.9, "truncation": 0.1, "lidar_pts": 14,
        },
    }  # fmt: skip
    assert rows[0]["meta"] == {
        "dataset_id": 3, "file_path": "datasets/own/a.jpg", "src_90_rotate": 0,
        "src_flagged": False,
    }  # fmt: skip


def test_the_3d_box_has_the_corners_of_the_file(tmp_path: Path) -> None:
    rows, _ = omni(tmp_path, annotation())
    made = corners(np.array([rows[0]["objects"][0]["box3d"]]))[0]
    assert made == pytest.approx(np.array(annotation()["bbox3D_cam"]), abs=1e-5)


def test_corners_may_be_in_another_order_or_missing(tmp_path: Path) -> None:
    whole, _ = omni(tmp_path, annotation())
    for given in (annotation()["bbox3D_cam"][::-1], None):
        rows, failures = omni(tmp_path, annotation(bbox3D_cam=given))
        assert (rows, failures) == (whole, [])


def test_dimensions_in_another_order_contradict_the_corners(tmp_path: Path) -> None:
    swapped = annotation(id=2, dimensions=[LENGTH, HEIGHT, WIDTH])
    rows, failures = omni(tmp_path, annotation(), swapped)
    assert [made["attributes"]["id"] for made in rows[0]["objects"]] == [1]
    ((place, message),) = messages(failures).items()
    assert place == "annotations[1]"
    assert message.startswith("a corner of 'bbox3D_cam' is 1.")
    rows, failures = omni(tmp_path, annotation(), swapped, trust=True)
    assert rows[0]["objects"][1]["box3d"][3:6] == pytest.approx([WIDTH, HEIGHT, LENGTH])
    assert failures == []


def test_an_annotation_that_is_not_valid_in_3d_keeps_its_box_and_label(tmp_path: Path) -> None:
    flat = annotation(valid3D=False, dimensions=[-1, -1, -1], bbox3D_cam=-1, R_cam=-1)
    rows, failures = omni(tmp_path, flat)
    (made,) = objects(rows[0])
    assert failures == []
    assert (made["label"], made["box"]) == ("car", [100, 100, 600, 600])
    assert ("box3d" in made, made["attributes"]["valid3D"]) == (False, False)


@pytest.mark.parametrize(
    ("changes", "which", "box"),
    [
        ({}, "tight", [100, 100, 600, 600]),
        ({"bbox2D_tight": NONE}, "trunc", [50, 50, 650, 650]),
        ({"bbox2D_tight": NONE, "bbox2D_trunc": NONE}, "proj", [50, 0, 650, 700]),
        ({"bbox2D_tight": NONE, "bbox2D_trunc": NONE, "behind_camera": True}, None, None),
        ({"bbox2D_tight": NONE, "bbox2D_trunc": NONE, "bbox2D_proj": NONE}, None, None),
    ],
)
def test_the_first_of_three_boxes_that_exists_is_used_and_named(
    tmp_path: Path, changes: dict[str, Any], which: str | None, box: list[float] | None
) -> None:
    rows, failures = omni(tmp_path, annotation(**changes))
    made = rows[0]["objects"][0]
    assert failures == []
    assert (made["attributes"].get("bbox2D"), made["box"]) == (which, box)
    assert made["box3d"] is not None


def test_the_camera_is_in_pixels_of_the_actual_image(tmp_path: Path) -> None:
    rows, _ = omni(tmp_path, annotation())
    assert rows[0]["media"][0]["camera"] == [400, 410, 100, 50]
    write_file(tmp_path / "datasets" / "own" / "a.jpg", make_image(100, 50))
    rows, _ = omni(tmp_path, annotation())
    assert rows[0]["media"][0]["camera"] == [200, 205, 50, 25]
    assert rows[0]["objects"][0]["box"] == [100, 100, 600, 600]
    rows, _ = omni(tmp_path, image={**IMAGE, "K": None})
    assert rows[0]["media"][0]["camera"] is None


def test_a_broken_camera_or_path_fails_the_image(tmp_path: Path) -> None:
    for changes, message in (
        ({"K": [[1, 2], [3, 4]]}, "'K' is [[1, 2], [3, 4]], not 3 x 3 numbers"),
        ({"file_path": None}, "the field 'file_path' is None, not text"),
        ({"width": 0}, "width and height are 0 and 100, not positive numbers"),
    ):
        rows, failures = omni(tmp_path, annotation(), image={**IMAGE, **changes})
        assert (rows, messages(failures)) == ([], {"7": message})


def test_every_fault_of_an_annotation_fails_it_alone_with_its_place(tmp_path: Path) -> None:
    mirrored = [[-1, 0, 0], [0, 1, 0], [0, 0, 1]]
    broken: dict[str, dict[str, Any]] = {
        "the category id is 9, but no sound entry of `categories` has this id": {
            "category_name": None,
            "category_id": 9,
        },
        "'bbox2D_tight' is [1, 2, 3], not 4 numbers": {"bbox2D_tight": [1, 2, 3]},
        "'center_cam' is None, not 3 numbers": {"center_cam": None},
        "'center_cam' is ['1', '2', '3'], not 3 numbers": {"center_cam": ["1", "2", "3"]},
        "'valid3D' is true, but 'dimensions' is [0, 1, 1]; each of its three numbers must be over "
        "0": {"dimensions": [0, 1, 1]},
        "'bbox3D_cam' is [[1, 2], [3]], not 8 x 3 numbers": {"bbox3D_cam": [[1, 2], [3]]},
        "'R_cam' is not a rotation: [[-1, 0, 0], [0, 1, 0], [0, 0, 1]]": {"R_cam": mirrored},
        "the annotation's image_id is 8, but no sound entry of `images` has this id": {
            "image_id": 8
        },
    }
    whole, _ = omni(tmp_path, annotation())
    for message, changes in broken.items():
        rows, failures = omni(tmp_path, annotation(), annotation(**({"id": 2} | changes)))
        assert messages(failures) == {"annotations[1]": message}
        assert [row["objects"] for row in rows] == [row["objects"] for row in whole]
        lost = {} if "image_id" in changes else {"curate.lost": {"annotations": 1}}
        assert rows[0]["meta"] == whole[0]["meta"] | lost


def test_without_a_category_name_the_label_comes_from_the_category_id(tmp_path: Path) -> None:
    rows, _ = omni(tmp_path, annotation(category_name=None, category_id=6))
    assert rows[0]["objects"][0]["label"] == "van"


def test_a_pitch_of_a_quarter_turn_gives_one_box(tmp_path: Path) -> None:
    rotation = matrices_from_euler(np.array([[0.3, math.pi / 2, 0.4]]))[0]
    rows, failures = omni(tmp_path, annotation(R_cam=rotation.tolist(), bbox3D_cam=eight(rotation)))
    assert failures == []
    made = corners(np.array([rows[0]["objects"][0]["box3d"]]))[0]
    assert made == pytest.approx(np.array(eight(rotation)), abs=1e-5)


def test_only_files_of_3d_annotations_are_recognised(tmp_path: Path) -> None:
    plain = {"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}
    for name, one in (("omni.json", annotation()), ("coco.json", plain)):
        write_file(tmp_path / name, {"images": [], "annotations": [one], "categories": []})
    found = [
        file.name
        for file in storage.list_files(str(tmp_path / "*.json"))
        if Omni3d.sniff(sniff.head(file, ""))
    ]
    assert found == ["omni.json"]
