"""The reader of COCO captions: one file of images and annotations."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.ingest.captions.coco_captions import CocoCaptions
from curate.ingest.formats import json_object
from curate.ingest.formats.coco_ids import _raw_ids
from curate.ingest.reader import Count, Failure
from manifests.errors import InputError
from tests.ingest.captions.two_images import CAT, DOG, counted, read, write_images
from tests.ingest.expected import caption_record, captions, kinds
from tests.make import make_image, read_all, splits


@pytest.fixture(autouse=True)
def _media(tmp_path: Path) -> None:
    write_images(tmp_path)


IMAGES = [
    {"id": 7, "file_name": "dog.jpg", "width": 640, "license": 4},
    {"id": 8, "file_name": "sub/cat.png"},
]
ANNOTATIONS = [
    {"id": 101, "image_id": 7, "caption": "A dog."},
    {"id": 102, "image_id": 8, "caption": "A cat."},
    {"id": 103, "image_id": 7, "caption": "A dog runs.", "score": 1},
]


def coco(folder: Path, images: Any = IMAGES, annotations: Any = ANNOTATIONS) -> Any:
    reader = CocoCaptions(name="own", path="a.json")
    return read(folder, reader, {"images": images, "annotations": annotations})


def test_each_annotation_is_a_record_of_its_image_and_caption(tmp_path: Path) -> None:
    rows, failures = coco(tmp_path)
    image = '"image":{"width":640,"license":4}'
    dog, cat = DOG | {"uri": "dog.jpg"}, CAT | {"uri": "sub/cat.png"}
    assert failures == []
    assert rows == [
        caption_record("own", "a.json#101", "A dog.", '{"image_id":7,' + image + "}", **dog),
        caption_record("own", "a.json#102", "A cat.", '{"image_id":8,"image":{}}', **cat),
        caption_record(
            "own", "a.json#103", "A dog runs.", '{"image_id":7,"score":1,' + image + "}", **dog
        ),
    ]


def test_the_order_of_the_two_arrays_and_other_keys_do_not_matter(tmp_path: Path) -> None:
    rows, _ = coco(tmp_path)
    turned = {"info": {"images": []}, "annotations": ANNOTATIONS, "x": 1, "images": IMAGES}
    assert read(tmp_path, CocoCaptions(name="own", path="a.json"), turned) == (rows, [])


def test_a_compressed_file_and_a_byte_order_mark_change_nothing(tmp_path: Path) -> None:
    data = json.dumps({"images": IMAGES, "annotations": ANNOTATIONS}).encode()
    packed, _ = read(tmp_path, CocoCaptions(name="o", path="b.json.gz"), gzip.compress(data))
    marked, _ = read(tmp_path, CocoCaptions(name="o", path="b.json"), b"\xef\xbb\xbf" + data)
    assert captions(packed) == captions(marked) == ["A dog.", "A cat.", "A dog runs."]


@pytest.mark.parametrize("nothing", [None, "", " \n"])
def test_a_null_caption_makes_a_record_of_the_image_alone(
    tmp_path: Path, nothing: str | None
) -> None:
    rows, failures = coco(tmp_path, annotations=[{"id": 1, "image_id": 7, "caption": nothing}])
    assert (captions(rows), failures) == ([None], [])
    assert [row["media"][0]["uri"] for row in rows] == ["dog.jpg"]


def test_an_annotation_of_an_unknown_image_is_a_failure(tmp_path: Path) -> None:
    lost = {"id": 9, "image_id": 99, "caption": "?"}
    rows, failures = coco(tmp_path, annotations=[lost, *ANNOTATIONS])
    assert captions(rows) == ["A dog.", "A cat.", "A dog runs."]
    assert failures == [
        Failure(
            "a.json#9",
            "a.json#9",
            "RowError",
            "the annotation's image_id is 99, but no sound entry of `images` has this id",
        )
    ]


def test_a_missing_or_broken_image_is_a_failure_of_each_of_its_captions(tmp_path: Path) -> None:
    images = [{"id": 7, "file_name": "gone.jpg"}, {"id": 8, "file_name": "text.jpg"}]
    rows, failures = coco(tmp_path, images)
    assert rows == []
    keys = ["a.json#101", "a.json#102", "a.json#103"]
    assert kinds(failures) == [(key, "MediaError") for key in keys]
    assert failures[0].message.startswith("gone.jpg: there is no such file")


@pytest.mark.parametrize(
    "path", ["../secret.jpg", "/etc/passwd", "sub/../../secret.jpg", "s3://a/b"]
)
def test_a_file_name_that_leaves_media_root_is_a_failure(tmp_path: Path, path: str) -> None:
    (tmp_path.parent / "secret.jpg").write_bytes(make_image())
    rows, failures = coco(tmp_path, [{"id": 7, "file_name": path}], ANNOTATIONS[:1])
    assert (rows, kinds(failures)) == ([], [("a.json#101", "RowError")])


def test_annotations_of_merged_files_have_keys_of_both_ids(tmp_path: Path) -> None:
    again = {"id": 101, "image_id": 8, "caption": "Again."}
    rows, failures = coco(tmp_path, annotations=[*ANNOTATIONS, again])
    assert captions(rows) == ["A dog.", "A cat.", "A dog runs.", "Again."]
    keys = [row["origin"].partition("#")[2] for row in rows]
    assert (keys, failures) == (["7/101", "102", "103", "8/101"], [])


def test_annotations_that_share_their_id_and_image_are_all_failures(tmp_path: Path) -> None:
    again = {"id": "102", "image_id": 8, "caption": "Again."}
    rows, failures = coco(tmp_path, annotations=[*ANNOTATIONS, again])
    assert captions(rows) == ["A dog.", "A dog runs."]
    assert kinds(failures) == [
        ("a.json#annotations[1]", "RowError"),
        ("a.json#annotations[3]", "RowError"),
    ]
    assert failures[0].message == (
        "2 annotations of the image 8 have the id 102. Give each annotation of an image its own id."
    )


def test_annotations_and_images_are_counted_and_images_without_annotations_left_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [{"id": n, "image_id": 7, "caption": f"The {n}th."} for n in range(80)]
    coco(tmp_path, [*IMAGES, 3, {"id": 9, "file_name": "gone.jpg"}], [*many, 7])
    reader = CocoCaptions(name="own", path="a.json")
    left_aside = {"image without annotations": 2}
    assert counted(reader, tmp_path) == ([Count("elements", 85)], 83, left_aside)
    monkeypatch.setattr(json_object, "MIN_SPLIT_BYTES", 300)
    counts, units, found = counted(reader, tmp_path)
    assert (sum(count.units for count in counts if count), units, found) == (85, 83, left_aside)
    (tmp_path / "a.json").write_text('{"images": []}')
    assert counted(reader, tmp_path) == ([Count("elements", 0)], 0, {})


def test_captions_of_an_image_id_with_two_files_are_failures(tmp_path: Path) -> None:
    rows, failures = coco(tmp_path, [*IMAGES, IMAGES[1], {"id": 7, "file_name": "other.jpg"}])
    assert captions(rows) == ["A cat."]
    assert [failure.message for failure in failures] == [
        (
            "two images have the id 7: dog.jpg and other.jpg. Write one entry for each image, "
            "with an id that no other image has."
        )
    ] * 2


@pytest.mark.parametrize(
    "broken",
    [
        3,
        {"image_id": 7, "caption": "no id"},
        {"id": None, "image_id": 7, "caption": "null id"},
        {"id": [1], "image_id": 7, "caption": "listed id"},
        {"id": 1.5, "image_id": 7, "caption": "broken id"},
        {"id": 1, "caption": "no image"},
        {"id": 1, "image_id": {}, "caption": "no image"},
        {"id": 1, "image_id": 7, "bbox": [1, 2, 3, 4]},
        {"id": 1, "image_id": 7, "caption": 5},
    ],
)
def test_a_broken_annotation_fails_alone(tmp_path: Path, broken: Any) -> None:
    rows, failures = coco(tmp_path, annotations=[ANNOTATIONS[0], broken, ANNOTATIONS[1]])
    assert captions(rows) == ["A dog.", "A cat."]
    assert [failure.error for failure in failures] == ["RowError"]


def test_a_broken_image_is_a_failure_and_so_are_its_captions(tmp_path: Path) -> None:
    rows, failures = coco(tmp_path, [3, {"id": 7}, IMAGES[1]])
    assert captions(rows) == ["A cat."]
    assert kinds(failures) == [
        ("a.json#images[0]", "RowError"),
        ("a.json#images[1]", "RowError"),
        ("a.json#101", "RowError"),
        ("a.json#103", "RowError"),
    ]


def test_zero_annotations_are_zero_records(tmp_path: Path) -> None:
    assert coco(tmp_path, [], []) == ([], [])
    assert coco(tmp_path, IMAGES, []) == ([], [])


def test_the_failure_of_a_file_without_its_arrays_lists_its_keys(tmp_path: Path) -> None:
    reader = CocoCaptions(name="own", path="a.json")
    rows, failures = read(tmp_path, reader, {"images": IMAGES, "labels": []})
    assert (rows, kinds(failures)) == ([], [("a.json#annotations", "RowError")])
    assert failures[0].message == (
        "the JSON object has no key 'annotations'; its keys are: images, labels."
    )
    rows, failures = read(tmp_path, reader, b"[1, 2]")
    assert rows == []
    assert [failure.key for failure in failures] == [
        "a.json#object",
        "a.json#images",
        "a.json#annotations",
    ]


def test_annotations_cut_in_half_give_the_captions_before_the_cut(tmp_path: Path) -> None:
    data = json.dumps({"images": IMAGES, "annotations": ANNOTATIONS}).encode()[:-20]
    rows, failures = read(tmp_path, CocoCaptions(name="own", path="a.json"), data)
    assert captions(rows) == ["A dog.", "A cat."]
    assert [failure.key for failure in failures] == ["a.json#object", "a.json#annotations[2]"]


def test_images_cut_in_half_leave_the_captions_of_the_others(tmp_path: Path) -> None:
    data = json.dumps({"annotations": ANNOTATIONS, "images": IMAGES}).encode()[:-20]
    rows, failures = read(tmp_path, CocoCaptions(name="own", path="a.json"), data)
    assert captions(rows) == ["A dog.", "A dog runs."]
    assert [failure.key for failure in failures] == [
        "a.json#object",
        "a.json#images[1]",
        "a.json#102",
    ]


def test_invalid_utf8_and_deep_nesting_fail_one_caption_each(tmp_path: Path) -> None:
    data = json.dumps({"images": IMAGES, "annotations": [*ANNOTATIONS, 3]}).encode()
    data = data.replace(b"A cat", b"A \xff cat").replace(b", 3]", b", " + b"[" * 3000 + b"]" * 3001)
    rows, failures = read(tmp_path, CocoCaptions(name="own", path="a.json"), data)
    assert captions(rows) == ["A dog.", "A dog runs."]
    assert [failure.key for failure in failures] == [
        "a.json#annotations[1]",
        "a.json#annotations[3]",
    ]


def test_a_repeated_key_is_a_failure(tmp_path: Path) -> None:
    data = json.dumps({"images": IMAGES, "annotations": ANNOTATIONS}).encode()
    data = data[:-1] + b', "images": []}'
    rows, failures = read(tmp_path, CocoCaptions(name="own", path="a.json"), data)
    assert len(rows) == 3
    (failure,) = failures
    assert failure.message == "the key 'images' occurs twice. Correct the JSON in the file."


def test_splits_join_and_find_repeated_ids_like_one_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [{"id": n % 40, "image_id": 7 + n % 3, "caption": f"The {n}th."} for n in range(80)]
    many += many[:2]
    images = [*IMAGES, 3]
    rows, failures = coco(tmp_path, images, many)
    assert len(rows) == 52
    assert len(failures) == 31
    monkeypatch.setattr(json_object, "MIN_SPLIT_BYTES", 300)
    assert len(splits(CocoCaptions(name="own", path="a.json"), str(tmp_path))) > 10
    assert coco(tmp_path, images, many) == (rows, failures)


def test_a_missing_media_root_is_an_error_of_the_recipe(tmp_path: Path) -> None:
    reader = CocoCaptions(name="own", path="a.json", media_root="elsewhere")
    with pytest.raises(InputError, match="there is no such folder"):
        read(tmp_path, reader, {"images": IMAGES, "annotations": ANNOTATIONS})


@pytest.mark.parametrize(("part", "images", "captions"), [("train", 26, 130), ("val", 25, 125)])
def test_real_coco_captions_are_read_completely(
    real_data: Path, part: str, images: int, captions: int
) -> None:
    root = real_data / "grounding/coco_permissive"
    path = root / f"annotations/COCO-MINI__captions_{part}2017.json"
    reader = CocoCaptions(name="coco", path=str(path), media_root=str(root / "images"))
    found = read_all(reader)
    rows = [row for f in found for row in f.records.to_pylist()]
    assert [failure for f in found for failure in f.failures] == []
    assert (len(rows), len({row["id"] for row in rows})) == (captions, captions)
    assert len({row["media"][0]["uri"] for row in rows}) == images
    entries = {image["id"]: image for image in json.loads(path.read_bytes())["images"]}
    for row in rows:
        image = entries[json.loads(row["meta"])["image_id"]]
        size = (row["media"][0]["width"], row["media"][0]["height"])
        assert size == (image["width"], image["height"])


ODD = ['"id": "7"', '"i\\u0064": 7', '"id" :\n7', '"id": 7, "user": {"id": 3}', '"id":"\\u0037"']


@pytest.mark.parametrize("odd", ODD)
def test_a_repeated_id_is_found_however_it_is_written(
    tmp_path: Path, odd: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = [f'{{"id": {n}, "image_id": 7, "caption": "The {n}th, \\"id\\": 7."}}' for n in range(30)]
    own.insert(2, f'{{{odd}, "image_id": 7, "caption": "odd"}}')
    data = f'{{"images": {json.dumps(IMAGES)}, "annotations": [{", ".join(own)}]}}'.encode()
    reader = CocoCaptions(name="own", path="a.json")
    whole = read(tmp_path, reader, data)
    assert len(whole[0]) == 29
    assert [failure.key for failure in whole[1]] == [
        "a.json#annotations[2]",
        "a.json#annotations[8]",
    ]
    monkeypatch.setattr(json_object, "MIN_SPLIT_BYTES", 100)
    assert len(splits(reader, str(tmp_path))) > 10
    assert read(tmp_path, reader, data) == whole


@given(st.lists(st.integers(0, 40), max_size=60), st.integers(1, 50))
def test_the_quick_search_for_repeated_ids_finds_each(ids: list[int], size: int) -> None:
    data = b", ".join(b'{"id": %d, "caption": "a"}' % one for one in ids)
    chunks = [data[start : start + size] for start in range(0, len(data), size)]
    tokens = [token for some in _raw_ids(chunks) for token in some]
    assert tokens == [str(one) for one in ids]
