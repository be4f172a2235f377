"""COCO's layout: each image becomes a record with all its objects, for each format that uses it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.ingest import sniff
from curate.ingest.formats import json_pieces
from curate.ingest.grounding.annotations import coco_layout
from curate.ingest.grounding.annotations.annotations_by_image import quick_image_id
from curate.ingest.grounding.coco_instances import Coco
from manifests import storage
from manifests.errors import InputError
from tests.ingest.grounding.coco_file import (
    ANNOTATIONS,
    CATEGORIES,
    IMAGES,
    MASK,
    RING,
    coco,
    write_images,
)
from tests.ingest.grounding.reading import messages, objects, read_rows, write_file
from tests.make import splits


@pytest.fixture(autouse=True)
def _media(tmp_path: Path) -> None:
    write_images(tmp_path)


def annotated(**changes: Any) -> list[dict[str, Any]]:
    return [
        *ANNOTATIONS,
        {"id": 4, "image_id": 7, "category_id": 1, "bbox": [0, 0, 9, 9]} | changes,
    ]


def test_an_image_is_a_record_with_all_its_objects_in_thousandths(tmp_path: Path) -> None:
    rows, failures = coco(tmp_path)
    assert failures == []
    assert [(row["origin"], row["modality"]) for row in rows] == [
        ("a.json#7", "grounding"), ("a.json#8", "grounding"), ("a.json#9", "grounding")
    ]  # fmt: skip
    assert objects(rows[0]) == [
        {
            "label": "dog",
            "box": [100, 100, 600, 600],
            "polygon": [[100, 100, 600, 100, 600, 600], [0, 0, 100, 0, 100, 200]],
            "attributes": {"id": 2, "area": 9.5},
        }
    ]
    assert objects(rows[1]) == [
        {"label": "cat", "box": [100, 200, 600, 500], "attributes": {"id": 1}},
        {
            "label": "dog",
            "box": [0, 0, 1000, 1000],
            "attributes": {
                "id": 3, "iscrowd": 1, "keypoints": [1, 2, 2], "num_keypoints": 1, "rle": MASK
            },
        },
    ]  # fmt: skip
    assert rows[0]["meta"] == {"file_name": "dog.jpg", "license": 4}


def test_an_image_without_annotations_is_a_record_without_objects(tmp_path: Path) -> None:
    rows, _ = coco(tmp_path)
    assert (rows[2]["objects"], rows[2]["media"][0]["uri"]) == ([], "none.png")
    rows, failures = coco(tmp_path, annotations=[])
    assert ([len(row["objects"]) for row in rows], failures) == ([0, 0, 0], [])


def test_every_fault_of_an_annotation_fails_it_alone_with_its_place(tmp_path: Path) -> None:
    broken: dict[str, dict[str, Any]] = {
        "the annotation's image_id is 70, but no sound entry of `images` has this id": {
            "image_id": 70
        },
        "the category id is 2, but no sound entry of `categories` has this id": {"category_id": 2},
        "the annotation has neither 'bbox' nor 'segmentation'": {"bbox": []},
        "'bbox' is [1, 2, 3], not 4 numbers": {"bbox": [1, 2, 3]},
        "'bbox' is [1, 2, 3, '4'], not 4 numbers": {"bbox": [1, 2, 3, "4"]},
        "'segmentation' is [[1, 2, 3]], neither lists of numbers x y x y ... nor a mask": {
            "bbox": None,
            "segmentation": [[1, 2, 3]],
        },
    }
    whole, _ = coco(tmp_path)
    for message, changes in broken.items():
        rows, failures = coco(tmp_path, annotations=annotated(**changes))
        assert messages(failures) == {"annotations[3]": message}
        lost = {} if "image_id" in changes else {"curate.lost": {"annotations": 1}}
        assert rows[0]["meta"] == whole[0]["meta"] | lost
        assert [{**row, "meta": 0} for row in rows] == [{**row, "meta": 0} for row in whole]


def test_annotations_are_joined_by_image_although_their_ids_start_again(tmp_path: Path) -> None:
    again = [{**one, "id": 1, "image_id": str(9)} for one in ANNOTATIONS]
    without_id = {k: v for k, v in ANNOTATIONS[0].items() if k != "id"}
    rows, failures = coco(tmp_path, annotations=[*ANNOTATIONS, *again, without_id])
    assert ([len(row["objects"]) for row in rows], failures) == ([1, 3, 3], [])
    assert not any("curate.lost" in row["meta"] for row in rows)


@pytest.mark.parametrize("broken", [3, {"id": 9}, {"image_id": None, "x": {"image_id": 7}}])
def test_an_annotation_of_an_unknown_image_marks_all_images(tmp_path: Path, broken: Any) -> None:
    rows, failures = coco(tmp_path, annotations=[*ANNOTATIONS, broken])
    assert [one.origin for one in failures] == ["a.json#annotations[3]"]
    assert [row["meta"]["curate.lost"] for row in rows] == [{"annotations": 1}] * 3


def test_broken_json_that_names_its_image_marks_only_this_image(tmp_path: Path) -> None:
    coco(tmp_path)
    text = (tmp_path / "a.json").read_text()
    (tmp_path / "a.json").write_text(text.replace('"area": 9.5', '"area": 9.5.5'))
    rows, failures = read_rows(Coco(name="own", path="a.json"), tmp_path)
    assert [one.origin for one in failures] == ["a.json#annotations[1]"]
    marks = {row["origin"]: row["meta"].get("curate.lost") for row in rows}
    assert marks["a.json#8"] is marks["a.json#9"]


JSON = st.recursive(
    st.none() | st.integers(-3, 30) | st.text('"{}\\image_id:,1', max_size=12),
    lambda one: (
        st.lists(one, max_size=2)
        | st.dictionaries(st.sampled_from(["id", "image_id", "a"]), one, max_size=3)
    ),
    max_leaves=6,
)


@given(JSON, st.booleans())
def test_the_image_id_found_without_parsing_is_the_one_at_the_top(value: Any, tight: bool) -> None:
    data = json.dumps(value, separators=(",", ":") if tight else None).encode()
    quick = quick_image_id(data)
    assert quick is None or not isinstance(value, dict) or quick == str(value["image_id"])


def test_plain_annotations_need_no_parsing() -> None:
    assert quick_image_id(json.dumps(ANNOTATIONS[0]).encode()) == "8"
    assert quick_image_id(b' {"id": 7, "image_id" : 12}') == "12"


def test_a_segmentation_of_another_form_leaves_the_box(tmp_path: Path) -> None:
    pairs = [[10, 5], [60, 5], [60, 30]]
    for readable in (pairs, [pairs], RING, [RING]):
        rows, failures = coco(tmp_path, annotations=annotated(segmentation=readable))
        assert failures == []
        assert rows[0]["objects"][1]["polygon"] == [[100, 100, 600, 100, 600, 600]]
    for other in ([RING[:5]], [MASK, MASK], "rings", {"counts": [1]}, [[*pairs, 4]]):
        rows, failures = coco(tmp_path, annotations=annotated(segmentation=other))
        made = objects(rows[0])[1]
        assert (made["box"], made["attributes"]["segmentation"]) == ([0, 0, 90, 180], other)
        assert "polygon" not in made
        assert list(messages(failures)) == ["annotations[3].segmentation"]
        assert "curate.lost" not in rows[0]["meta"]


def test_broken_images_fail_alone(tmp_path: Path) -> None:
    images = [
        *IMAGES, {"id": 7, "file_name": "cat.png"}, {"id": 10}, 5,
        {"id": 11, "file_name": "gone.jpg"}, {"id": 12, "file_name": "../a.jpg"},
        {"id": 13, "file_name": "cat.png", "width": 0, "height": 3},
        {"id": 14, "file_name": "cat.png", "width": 10**400, "height": 3},
    ]  # fmt: skip
    rows, failures = coco(tmp_path, images=images)
    assert [row["origin"] for row in rows] == ["a.json#8", "a.json#9"]
    by_place = messages(failures)
    two = "2 images have the id 7: dog.jpg and cat.png, so it is not known which of them an annotat"
    for place in ("images[0]", "images[3]", "annotations[1]"):
        assert by_place.pop(place).startswith(two)
    assert by_place.pop("11").startswith("gone.jpg: there is no such file")
    assert by_place == {
        "10": "the field 'file_name' is None, not text",
        "images[5]": "the element is 5, not a JSON object",
        "12": "'../a.jpg' is outside media_root",
        "13": "width and height are 0 and 3, not positive numbers",
        "14": f"width and height are {10**39} and 3, not positive numbers",
    }


def test_broken_categories_and_categories_with_one_id_fail(tmp_path: Path) -> None:
    categories = [*CATEGORIES, {"id": 3, "name": "tiger"}, {"id": 4}]
    rows, failures = coco(tmp_path, categories=categories)
    assert [one["label"] for one in rows[1]["objects"]] == ["dog"]
    several = "several categories have the id 3: cat and tiger"
    assert messages(failures) == {
        "categories[1]": several,
        "categories[2]": several,
        "annotations[0]": f"{several}. Give each category its own id.",
        "categories[3]": "the field 'name' is None, not text",
    }


@pytest.mark.parametrize("name", ["images", "annotations", "categories"])
def test_a_file_without_one_of_the_arrays_makes_no_records(tmp_path: Path, name: str) -> None:
    whole = {"images": IMAGES, "annotations": ANNOTATIONS, "categories": CATEGORIES}
    write_file(tmp_path / "a.json", {k: v for k, v in whole.items() if k != name})
    rows, failures = read_rows(Coco(name="own", path="a.json"), tmp_path)
    there = ", ".join(k for k in whole if k != name)
    assert (rows, messages(failures)) == (
        [],
        {name: f"the JSON object has no key '{name}'; its keys are: {there}."},
    )


def test_splits_change_nothing_and_each_failure_is_reported_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = [
        {**ANNOTATIONS[0], "image_id": 70}, {**ANNOTATIONS[0], "id": 5, "category_id": 6}, 3,
        {**ANNOTATIONS[1], "image_id": 9}, {**ANNOTATIONS[1], "id": 6, "image_id": 71},
        {**ANNOTATIONS[0], "id": "10", "image_id": "7"},  # ids may be text
        {"parts": [{"id": 1, "image_id": 7}], **ANNOTATIONS[0], "id": 11, "image_id": 9},
        {"note": '"id": 1, "image_id": 7,', **ANNOTATIONS[0], "id": 12, "image_id": 9},
        {"parts": {"id": 13, "image_id": 9}, "category_id": 1, "bbox": [0, 0, 9, 9]},
    ]  # fmt: skip
    changes = {
        "images": [*IMAGES, IMAGES[0], 4], "annotations": [*ANNOTATIONS, *extra],
        "categories": [*CATEGORIES, 1],
    }  # fmt: skip
    whole, failures = coco(tmp_path, **changes)
    assert len(splits(Coco(name="own", path="a.json"), str(tmp_path))) == 1
    monkeypatch.setattr(coco_layout, "SPLIT_BYTES", 1)
    monkeypatch.setattr(coco_layout, "BATCH_IMAGES", 1)
    rows, again = coco(tmp_path, **changes)
    assert len(splits(Coco(name="own", path="a.json"), str(tmp_path))) == 5
    assert rows == whole
    assert sorted(again) == sorted(failures)
    assert set(messages(again)) == {
        "categories[2]", "images[3]", "images[4]", "annotations[3]", "annotations[4]",
        "annotations[5]", "annotations[1]", "annotations[7]", "annotations[8]", "annotations[11]",
        "images[0]",
    }  # fmt: skip


def test_arrays_may_be_longer_than_any_element(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_pieces, "MAX_ELEMENT_BYTES", 300)
    many = [{**ANNOTATIONS[0], "id": n} for n in range(100)]
    rows, failures = coco(tmp_path, annotations=many)
    assert (sum(len(row["objects"]) for row in rows), failures) == (100, [])


def test_a_compressed_file_gives_the_same_records(tmp_path: Path) -> None:
    whole, _ = coco(tmp_path)
    write_file(tmp_path / "b.json.gz", gzip.compress((tmp_path / "a.json").read_bytes()))
    rows, failures = read_rows(Coco(name="own", path="b.json.gz"), tmp_path)
    assert ([row["objects"] for row in rows], failures) == ([r["objects"] for r in whole], [])


def test_boxes_refer_to_the_size_in_the_image_entry(tmp_path: Path) -> None:
    images = [{**IMAGES[0], "width": 1000, "height": 500}]
    rows, _ = coco(tmp_path, images=images, annotations=[ANNOTATIONS[1]])
    assert rows[0]["objects"][0]["box"] == [10, 10, 60, 60]
    other, failures = coco(tmp_path, images=[{**IMAGES[0], "height": 100}], annotations=[])
    assert (other, list(messages(failures))) == ([], ["7"])


def test_corners_read_as_sizes_are_refused_with_the_space_that_fits(tmp_path: Path) -> None:
    corners = [
        {"id": n, "image_id": 8, "category_id": 1, "bbox": [100 + n, 110, 180 + n, 190]}
        for n in range(10)
    ]
    with pytest.raises(InputError, match="'xyxy pixel'"):
        coco(tmp_path, annotations=corners)
    rows, _ = coco(tmp_path, annotations=corners, settings={"space": "xyxy pixel"})
    assert rows[1]["objects"][0]["box"] == [500, 550, 900, 950]


def test_a_vertex_that_is_not_a_number_fails_its_image(tmp_path: Path) -> None:
    rows, failures = coco(tmp_path, annotations=annotated(segmentation=[["a", "b"]]))
    assert [row["origin"] for row in rows] == ["a.json#8", "a.json#9"]
    assert messages(failures) == {"7": "object 1: [['a', 'b']] is not rings of x y x y ..."}


def test_only_files_of_annotated_objects_are_taken(tmp_path: Path) -> None:
    files = {
        "a.json": {"images": IMAGES, "annotations": ANNOTATIONS, "categories": CATEGORIES},
        "late.json": {"annotations": ANNOTATIONS, "x": 1},
        "empty.json": {"images": [], "annotations": [], "categories": []},
        "captions.json": {"annotations": [{"id": 1, "image_id": 1, "caption": "a"}]},
        "omni.json": {"annotations": [{"image_id": 1, "category_id": 1, "bbox2D_tight": []}]},
        "list.json": ANNOTATIONS,
    }
    taken = set()
    for name, value in files.items():
        write_file(tmp_path / name, value)
        if Coco.sniff(sniff.head(storage.list_files(str(tmp_path / name))[0], "")):
            taken.add(name)
    assert taken == {"a.json", "late.json", "empty.json"}


def test_real_photos_have_the_boxes_and_rings_of_their_files(
    real_data: Path, tmp_path: Path
) -> None:
    folder = real_data / "grounding" / "coco_permissive"
    if not folder.is_dir():
        pytest.skip(f"no photos of COCO at {folder}")
    path = folder / "annotations" / "COCO_Tiny__instances_val2017.json"
    rows, failures = read_rows(
        Coco(name="own", path=str(path), media_root=str(folder / "images")), tmp_path
    )
    whole = json.loads(path.read_text())
    assert (len(rows), failures) == (len(whole["images"]), [])
    made = {t["attributes"]["id"]: (t, r["media"][0]) for r in rows for t in r["objects"]}
    assert made.keys() == {annotation["id"] for annotation in whole["annotations"]}
    for annotation in whole["annotations"]:
        made_object, media = made[annotation["id"]]
        x, y, width, height = annotation["bbox"]
        sides = [media["width"], media["height"]] * 2
        wanted = [
            n / side * 1000 for n, side in zip((x, y, x + width, y + height), sides, strict=True)
        ]
        assert made_object["box"] == pytest.approx(wanted, abs=1e-3)
        mask = isinstance(annotation["segmentation"], dict)
        assert (made_object["polygon"] is None, "rle" in made_object["attributes"]) == (mask, mask)
