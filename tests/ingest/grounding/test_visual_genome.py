"""Regions and objects of Visual Genome become objects; images are found in both its folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from curate.ingest import sniff
from curate.ingest.grounding import visual_genome
from curate.ingest.grounding.visual_genome import VisualGenome
from manifests import storage
from manifests.errors import FileError
from tests.ingest.grounding.reading import messages, objects, read_rows, write_file
from tests.make import make_image

REGIONS: list[dict[str, Any]] = [
    {
        "id": 12,
        "regions": [
            {
                "region_id": 5, "image_id": 12, "phrase": "a red hat",
                "x": 10, "y": 5, "width": 50, "height": 25,
            },
            {
                "region_id": 6, "image_id": 12, "phrase": "grass", "synsets": [],
                "x": 0, "y": 25, "width": 100, "height": 25,
            },
        ],
    },
    {"id": 13, "regions": []},
]  # fmt: skip
OBJECTS: list[dict[str, Any]] = [
    {
        "image_id": 12,
        "image_url": "https://example.org/VG_100K/12.jpg",
        "objects": [
            {
                "object_id": 9, "names": ["hat", "cap"], "synsets": ["hat.n.01"],
                "merged_object_ids": [], "x": 10, "y": 5, "w": 50, "h": 25,
            },
            {"object_id": 8, "names": ["grass"], "x": 0, "y": 25, "w": 100, "h": 25},
        ],
    }
]  # fmt: skip


@pytest.fixture(autouse=True)
def _media(tmp_path: Path) -> None:
    write_file(tmp_path / "VG_100K" / "12.jpg", make_image(100, 50))
    write_file(tmp_path / "VG_100K_2" / "13.jpg", make_image(40, 30))


def genome(base: Path, value: Any, **settings: Any) -> Any:
    write_file(base / "a.json", value)
    return read_rows(VisualGenome(name="own", path="a.json", **settings), base)


def test_a_region_is_an_object_with_its_phrase(tmp_path: Path) -> None:
    rows, failures = genome(tmp_path, REGIONS)
    assert failures == []
    assert [(row["origin"], row["media"][0]["uri"]) for row in rows] == [
        ("a.json#0", "VG_100K/12.jpg"),
        ("a.json#1", "VG_100K_2/13.jpg"),
    ]
    assert objects(rows[0]) == [
        {"box": [100, 100, 600, 600], "text": "a red hat", "attributes": {"region_id": 5}},
        {"box": [0, 500, 1000, 1000], "text": "grass", "attributes": {"region_id": 6}},
    ]
    assert (objects(rows[1]), rows[1]["meta"]) == ([], {"id": 13})


def test_an_object_has_its_first_name_as_label_and_keeps_the_others(tmp_path: Path) -> None:
    rows, failures = genome(tmp_path, OBJECTS)
    assert failures == []
    assert objects(rows[0]) == [
        {
            "label": "hat",
            "box": [100, 100, 600, 600],
            "attributes": {"names": ["hat", "cap"], "object_id": 9, "synsets": ["hat.n.01"]},
        },
        {"label": "grass", "box": [0, 500, 1000, 1000], "attributes": {"object_id": 8}},
    ]
    assert rows[0]["meta"] == {"image_id": 12, "image_url": "https://example.org/VG_100K/12.jpg"}


def test_images_may_be_in_one_folder(tmp_path: Path) -> None:
    write_file(tmp_path / "flat" / "12.jpg", make_image(100, 50))
    rows, _ = genome(tmp_path, OBJECTS, media_root="flat")
    assert rows[0]["media"][0]["uri"] == "flat/12.jpg"


def test_boxes_refer_to_the_size_in_image_data(tmp_path: Path) -> None:
    data = [{"image_id": 12, "width": 1000, "height": 500, "coco_id": 4}, {"image_id": 1}]
    write_file(tmp_path / "image_data.json", data)
    rows, _ = genome(tmp_path, OBJECTS)
    assert rows[0]["objects"][0]["box"] == [10, 10, 60, 60]
    assert rows[0]["meta"]["coco_id"] == 4
    (tmp_path / "image_data.json").rename(tmp_path / "sizes.json")
    again, _ = genome(tmp_path, OBJECTS, image_data="sizes.json")
    assert again == rows
    with pytest.raises(
        FileError, match=r"gone\.json: the file with the sizes of the images does not exist"
    ):
        genome(tmp_path, OBJECTS, image_data="gone.json")
    write_file(tmp_path / "sizes.json", [{"image_id": 12}, 5])
    with pytest.raises(FileError, match="element 1: the element is 5, not a JSON object"):
        genome(tmp_path, OBJECTS, image_data="sizes.json")


def test_an_image_with_two_sizes_in_image_data_fails(tmp_path: Path) -> None:
    data = [{"image_id": 12, "width": 1000, "height": 500}, {"image_id": 12, "width": 500}]
    write_file(tmp_path / "image_data.json", data)
    rows, failures = genome(tmp_path, OBJECTS)
    assert "a.json#0" not in {row["origin"] for row in rows}
    assert messages(failures)["0"] == ("image_data.json has several different entries for image 12")
    write_file(tmp_path / "image_data.json", data[:1] * 2)
    assert genome(tmp_path, OBJECTS)[1] == []


def test_malformed_regions_and_objects_fail_alone(tmp_path: Path) -> None:
    place = {"x": 1, "y": 1, "width": 5, "height": 5}
    regions = [
        *REGIONS[0]["regions"], 5, {**place, "phrase": " "}, {"phrase": "a", **place, "x": None},
        {**place, "phrase": "a", "image_id": 13}, {**place, "phrase": "a", "y": True},
        {**place, "phrase": "a", "x": 10**400},
    ]  # fmt: skip
    rows, failures = genome(tmp_path, [{"id": 12, "regions": regions}])
    assert [one["text"] for one in rows[0]["objects"]] == ["a red hat", "grass"]
    assert messages(failures) == {
        "0.regions[2]": "the region or object is 5, not a JSON object",
        "0.regions[3]": "the field 'phrase' is ' ', not text",
        "0.regions[4]": "the fields x, y, width, height are [None, 1, 5, 5], not 4 numbers",
        "0.regions[5]": "the image_id is 13, but the region or object belongs to image 12",
        "0.regions[6]": "the fields x, y, width, height are [1, True, 5, 5], not 4 numbers",
        "0.regions[7]": f"the fields x, y, width, height are [{10**78}, not 4 numbers",
    }
    nameless = [{"names": [], "x": 1, "y": 1, "w": 5, "h": 5}, {"names": ["a"], "x": 1, "y": 1}]
    _, failures = genome(tmp_path, [{"image_id": 12, "objects": nameless}])
    assert messages(failures) == {
        "0.objects[0]": "the field 'names' is [], not a list with at least one name",
        "0.objects[1]": "the fields x, y, w, h are [1, 1, None, None], not 4 numbers",
    }


def test_malformed_elements_fail_alone(tmp_path: Path) -> None:
    value = [
        5,
        {"id": 12},
        {"regions": []},
        {"id": 14, "regions": []},
        {"id": "../../12", "regions": []},
    ]
    rows, failures = genome(tmp_path, [*REGIONS, *value])
    by_place = messages(failures)
    assert len(rows) == 2
    assert by_place.pop("5").startswith("VG_100K/14.jpg: there is no such file")
    assert by_place == {
        "2": "the element is 5, not a JSON object",
        "3": "the element has neither a list `regions` nor a list `objects`; its fields are: id.",
        "4": "the field 'id' is None, neither a whole number nor text",
        "6": "'VG_100K/../../12.jpg' is outside media_root",
    }


def test_splits_and_batches_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = genome(tmp_path, [*REGIONS, 5, REGIONS[0]])
    assert len(whole[0]) == 3
    monkeypatch.setattr(visual_genome, "SPLIT_BYTES", 1)
    assert genome(tmp_path, [*REGIONS, 5, REGIONS[0]]) == whole
    monkeypatch.setattr(visual_genome, "BATCH_IMAGES", 1)
    assert genome(tmp_path, [*REGIONS, 5, REGIONS[0]]) == whole


def test_only_its_two_files_are_recognised(tmp_path: Path) -> None:
    files = {
        "regions.json": REGIONS, "objects.json": OBJECTS, "none.json": [],
        "chat.json": [{"id": 1, "conversations": []}], "object.json": OBJECTS[0],
    }  # fmt: skip
    taken = set()
    for name, value in files.items():
        write_file(tmp_path / name, value)
        if VisualGenome.sniff(sniff.head(storage.list_files(str(tmp_path / name))[0], "")):
            taken.add(name)
    assert taken == {"regions.json", "objects.json"}
