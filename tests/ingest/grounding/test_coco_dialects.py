"""Files of other data sets in the layout of COCO: Objects365 and LVIS."""

from __future__ import annotations

from pathlib import Path

import pytest

from manifests import storage
from tests.ingest.grounding.coco_file import ANNOTATIONS, CATEGORIES, IMAGES, coco, write_images
from tests.ingest.grounding.reading import messages, write_file
from tests.make import make_image
from tests.runs import run_recipe


@pytest.fixture(autouse=True)
def _media(tmp_path: Path) -> None:
    write_images(tmp_path)


@pytest.mark.parametrize("place", ["images/v1/patch8", "patch8", "."])
def test_objects365_images_are_found_with_or_without_their_folders(
    tmp_path: Path, place: str
) -> None:
    write_file(tmp_path / "train" / place / "o365.jpg", make_image(30, 20))
    image = {"id": 7, "file_name": "images/v1/patch8/o365.jpg", "width": 300, "height": 200}
    rows, failures = coco(
        tmp_path, images=[image], annotations=[], settings={"media_root": "train"}
    )
    where = storage.join("train", *([place] if place != "." else []), "o365.jpg")
    assert ([row["media"][0]["uri"] for row in rows], failures) == ([where], [])
    assert rows[0]["meta"] == {"file_name": "images/v1/patch8/o365.jpg"}


def test_images_of_two_folders_are_not_read_from_one_file(tmp_path: Path) -> None:
    write_file(tmp_path / "flat" / "1.jpg", make_image(30, 20))
    images = [{"id": n, "file_name": f"{folder}/1.jpg"} for n, folder in enumerate("ab")]
    rows, failures = coco(tmp_path, images=images, settings={"media_root": "flat"}, annotations=[])
    assert rows == []
    assert messages(failures)["0"].startswith("flat/1.jpg: 'a/1.jpg' does not exist below")


def test_lvis_images_are_found_by_url_and_absent_categories_get_names(tmp_path: Path) -> None:
    write_file(tmp_path / "coco" / "train2017" / "000000391895.jpg", make_image(30, 20))
    image = {
        "id": 7, "coco_url": "http://images.cocodataset.org/train2017/000000391895.jpg",
        "neg_category_ids": [3, 1], "not_exhaustive_category_ids": [],
    }  # fmt: skip
    rows, failures = coco(tmp_path, images=[image], annotations=[], settings={"media_root": "coco"})
    assert failures == []
    assert rows[0]["media"][0]["uri"] == "coco/train2017/000000391895.jpg"
    assert rows[0]["meta"]["neg_category_names"] == ["cat", "dog"]
    assert rows[0]["meta"]["not_exhaustive_category_names"] == []


def test_lvis_images_state_which_categories_are_annotated_completely(tmp_path: Path) -> None:
    images = [
        IMAGES[0] | {"neg_category_ids": [3, 99]},
        IMAGES[1] | {"not_exhaustive_category_ids": [3], "neg_category_ids": None},
        IMAGES[2] | {"neg_category_ids": "3"},
    ]
    (dog, cat), [failure] = coco(tmp_path, images=images)
    assert (dog["meta"]["curate.absent"], cat["meta"]["curate.absent"]) == (["cat"], [])
    marked = [[one["attributes"].get("curate.partial") for one in row["objects"]]
              for row in (dog, cat)]  # fmt: skip
    assert marked == [[None], [True, None]]
    assert failure.message == "'neg_category_ids' is '3', not a list of category ids"
    assert "curate.absent" not in coco(tmp_path)[0][0]["meta"]


def test_no_step_asks_more_of_a_lvis_image_than_is_annotated(tmp_path: Path) -> None:
    images = [IMAGES[1] | {"neg_category_ids": [5], "not_exhaustive_category_ids": [3]}]
    names = [*CATEGORIES, {"id": 5, "name": "fire_hydrant"}, {"id": 6, "name": "sofa"}]
    whole = {"images": images, "annotations": ANNOTATIONS[:1], "categories": names}
    dog = {"id": 9, "image_id": 8, "category_id": 1, "bbox": [0, 0, 200, 200]}
    whole["annotations"] = [ANNOTATIONS[0], dog]
    write_file(tmp_path / "a.json", whole)
    made = run_recipe(
        tmp_path,
        {"name": "lvis", "reader": "coco", "path": "a.json"},
        steps=[
            {"negatives": {"categories": ["sofa", "fire hydrant"], "share": 1, "per_query": 9,
                           "answer": "words"}},
            {"counting": {"forms": ["direct"], "templates": {"direct": ["How many {labels}?"]}}},
            {"grounding_text": {"turns": "add", "by": "label", "templates": ["All {labels}?"]}},
        ],
    )  # fmt: skip
    asked = {
        item["text"]
        for row in made.rows
        for message in row["messages"]
        for item in message["content"]
        if message["role"] == "user" and item["text"]
    }
    assert {text for text in asked if "sofa" in text or "cat?" in text} == set()
    assert {"How many dog?", "All dog?"} <= asked
    assert any("fire hydrant" in text for text in asked)
