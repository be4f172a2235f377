"""Captions joined to their images, out of COCO's, Karpathy's and SBU's JSON."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.ingest.captions.coco_captions import CocoCaptions
from curate.ingest.captions.karpathy import Karpathy
from curate.ingest.captions.sbu_captions import SbuCaptions
from curate.ingest.formats import json_object
from curate.ingest.formats.coco_ids import _raw_ids
from curate.ingest.reader import Context, Count, Failure, Reader
from manifests.errors import InputError
from manifests.media import Media
from manifests.media.blobs import BlobFile
from tests.ingest.expected import caption_record, captions, kinds, rows_and_failures
from tests.make import make_image, read_all, splits

DOG_JPEG, CAT_PNG = make_image(64, 48), make_image(32, 16, kind="PNG")
DOG = {"length": len(DOG_JPEG), "mime": "image/jpeg", "width": 64, "height": 48}
CAT = {"length": len(CAT_PNG), "mime": "image/png", "width": 32, "height": 16}
IMAGES = [
    {"id": 7, "file_name": "dog.jpg", "width": 640, "license": 4},
    {"id": 8, "file_name": "sub/cat.png"},
]
ANNOTATIONS = [
    {"id": 101, "image_id": 7, "caption": "A dog."},
    {"id": 102, "image_id": 8, "caption": "A cat."},
    {"id": 103, "image_id": 7, "caption": "A dog runs.", "score": 1},
]


@pytest.fixture(autouse=True)
def _media(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "dog.jpg").write_bytes(DOG_JPEG)
    (tmp_path / "sub" / "cat.png").write_bytes(CAT_PNG)
    (tmp_path / "text.jpg").write_bytes(b"no image")


def read(folder: Path, reader: Reader, data: Any) -> tuple[list[Any], list[Failure]]:
    whole = data if isinstance(data, bytes) else json.dumps(data).encode()
    (folder / reader.path).write_bytes(whole)
    return rows_and_failures(reader, folder)


def coco(folder: Path, images: Any = IMAGES, annotations: Any = ANNOTATIONS) -> Any:
    reader = CocoCaptions(name="own", path="a.json")
    return read(folder, reader, {"images": images, "annotations": annotations})


# COCO


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
            "the annotation's image_id is 99, but no entry of `images` has this id",
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


def counted(reader: Reader, folder: Path) -> tuple[list[Count | None], int, dict[str, int]]:
    """Counts by split, the units that records and failures state, and what was left aside."""
    context = Context(str(folder), Media(str(folder)), BlobFile())
    counts, units, left_aside = [], 0, dict[str, int]()
    for split in splits(reader, str(folder)):
        counts.append(reader.count(split, context))
        for found in reader.read(split, context):
            units += found.records.num_rows if found.units is None else found.units
            units += sum(failure.units for failure in found.failures)
            for kind, number in found.left_aside.items():
                left_aside[kind] = left_aside.get(kind, 0) + number
    return counts, units, left_aside


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


# Karpathy

SENTENCES = [
    {"raw": "A dog.", "tokens": ["a", "dog"], "sentid": 5, "imgid": 0},
    {"raw": "It runs.", "tokens": ["it", "runs"], "sentid": 6, "imgid": 0},
]
KARPATHY = [
    {"filepath": "sub", "filename": "cat.png", "split": "val", "cocoid": 8,
     "sentids": [4], "sentences": [{"raw": "A cat.", "tokens": ["a", "cat"], "sentid": 4}]},
    {"filename": "dog.jpg", "split": "restval", "sentids": [5, 6], "sentences": SENTENCES},
]  # fmt: skip


def karpathy(folder: Path, images: Any = KARPATHY, **settings: Any) -> Any:
    reader = Karpathy(name="own", path="k.json", **settings)
    return read(folder, reader, {"images": images, "dataset": "coco"})


def test_each_sentence_is_a_record_and_its_split_goes_to_meta(tmp_path: Path) -> None:
    rows, failures = karpathy(tmp_path)
    dog, cat = DOG | {"uri": "dog.jpg"}, CAT | {"uri": "sub/cat.png"}
    assert failures == []
    assert rows == [
        caption_record(
            "own", "k.json#0.0", "A cat.", '{"split":"val","cocoid":8,"sentid":4}', **cat
        ),
        caption_record(
            "own", "k.json#1.0", "A dog.", '{"split":"restval","sentid":5,"imgid":0}', **dog
        ),
        caption_record(
            "own", "k.json#1.1", "It runs.", '{"split":"restval","sentid":6,"imgid":0}', **dog
        ),
    ]


def test_only_the_named_splits_are_read_and_ids_stay_the_same(tmp_path: Path) -> None:
    rows, _ = karpathy(tmp_path)
    assert karpathy(tmp_path, split="val") == (rows[:1], [])
    assert karpathy(tmp_path, split=["restval", "train"]) == (rows[1:], [])


def test_a_broken_image_or_sentence_fails_alone(tmp_path: Path) -> None:
    images = [
        3,
        {"filename": "dog.jpg", "split": "val"},
        {"split": "val", "sentences": SENTENCES},
        {"filename": "gone.jpg", "split": "val", "sentences": SENTENCES[:1]},
        {"filename": "../dog.jpg", "split": "val", "sentences": SENTENCES[:1]},
        {"filename": "dog.jpg", "sentences": [3, {"raw": None}, {"raw": 4}, {}, SENTENCES[0]]},
    ]
    rows, failures = karpathy(tmp_path, images)
    assert [(row["origin"], text) for row, text in zip(rows, captions(rows), strict=True)] == [
        ("k.json#5.1", None),
        ("k.json#5.4", "A dog."),
    ]
    assert kinds(failures) == [
        ("k.json#0", "RowError"),
        ("k.json#1", "RowError"),
        ("k.json#2", "RowError"),
        ("k.json#3.0", "MediaError"),
        ("k.json#4.0", "RowError"),
        ("k.json#5.0", "RowError"),
        ("k.json#5.2", "RowError"),
        ("k.json#5.3", "RowError"),
    ]


def test_karpathys_images_cut_in_half_give_the_sentences_before_the_cut(tmp_path: Path) -> None:
    data = json.dumps({"images": KARPATHY}).encode()[:-50]
    rows, failures = read(tmp_path, Karpathy(name="own", path="k.json"), data)
    assert captions(rows) == ["A cat."]
    assert [failure.key for failure in failures] == ["k.json#object", "k.json#1"]


def test_zero_images_are_zero_records(tmp_path: Path) -> None:
    assert karpathy(tmp_path, []) == ([], [])


# SBU

URLS = ["http://static.flickr.com/1/dog.jpg", "https://live.flickr.com/2/3/cat.png?x=1#y"]


def sbu(folder: Path, **columns: Any) -> Any:
    (folder / "cat.png").write_bytes(CAT_PNG)
    whole = {"image_urls": URLS, "captions": ["A dog.", "A cat."], **columns}
    return read(folder, SbuCaptions(name="own", path="s.json", media_root="."), whole)


def test_columns_become_rows_joined_by_the_last_part_of_the_url(tmp_path: Path) -> None:
    rows, failures = sbu(tmp_path, user_ids=["u1", "u2"])
    dog, cat = DOG | {"uri": "./dog.jpg"}, CAT | {"uri": "./cat.png"}
    assert failures == []
    assert rows == [
        caption_record("own", "s.json#0", "A dog.", f'{{"url":"{URLS[0]}","user_id":"u1"}}', **dog),
        caption_record("own", "s.json#1", "A cat.", f'{{"url":"{URLS[1]}","user_id":"u2"}}', **cat),
    ]
    assert captions(sbu(tmp_path)[0]) == ["A dog.", "A cat."]


def test_columns_of_unequal_length_fail_after_the_shorter_one(tmp_path: Path) -> None:
    rows, failures = sbu(tmp_path, captions=["A dog."])
    assert (captions(rows), kinds(failures)) == (["A dog."], [("s.json#1", "RowError")])
    rows, failures = sbu(tmp_path, captions=["A dog.", "A cat.", "A bird."])
    assert captions(rows) == ["A dog.", "A cat."]
    assert kinds(failures) == [("s.json#captions[2]", "RowError")]


def test_a_broken_url_or_caption_fails_its_row_alone(tmp_path: Path) -> None:
    urls = [URLS[0], 3, None, "http://a/../gone.jpg", URLS[0], URLS[1]]
    rows, failures = sbu(tmp_path, image_urls=urls, captions=["1", "2", "3", "4", 5, None])
    assert captions(rows) == ["1", None]
    assert [failure.key for failure in failures] == [f"s.json#{n}" for n in (1, 2, 3, 4)]


def test_splits_of_columns_have_the_same_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = {"image_urls": URLS * 40, "captions": [f"The {n}th." for n in range(81)]}
    rows, failures = sbu(tmp_path, **columns)
    assert (len(rows), kinds(failures)) == (80, [("s.json#captions[80]", "RowError")])
    monkeypatch.setattr(json_object, "MIN_SPLIT_BYTES", 300)
    reader = SbuCaptions(name="own", path="s.json", media_root=".")
    assert len(splits(reader, str(tmp_path))) > 5
    assert sbu(tmp_path, **columns) == (rows, failures)


def test_urls_with_the_same_last_part_do_not_share_an_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    urls = ["http://a/dog.jpg", *URLS[1:], "http://b/dog.jpg"]
    columns: Any = {"image_urls": urls, "captions": ["1", "2", "3"]}
    for split_bytes in (4 << 20, 1):
        monkeypatch.setattr(json_object, "MIN_SPLIT_BYTES", split_bytes)
        rows, failures = sbu(tmp_path, **columns)
        assert captions(rows) == ["2"]
        assert [failure.key for failure in failures] == ["s.json#0", "s.json#2"]
        assert failures[0].message.startswith("./dog.jpg: 2 different urls of the file have the")


def test_zero_rows_are_zero_records(tmp_path: Path) -> None:
    assert sbu(tmp_path, image_urls=[], captions=[]) == ([], [])


def test_images_of_karpathy_and_urls_of_sbu_are_counted(tmp_path: Path) -> None:
    sentences = [{"raw": "A dog."}, {"raw": 3}, {"raw": "Runs."}]
    images = [
        {"filename": "dog.jpg", "split": "train", "sentences": sentences},
        {"filename": "dog.jpg", "split": "train", "sentences": []},
        {"filename": "dog.jpg", "split": "val", "sentences": sentences},
        {"filename": "gone.jpg", "split": "train", "sentences": sentences},
        7,
    ]
    karpathy = Karpathy(name="own", path="k.json", split="train")
    _, failures = read(tmp_path, karpathy, {"images": images})
    assert sum(failure.counts_as for failure in failures) == len(failures) == 5
    left_aside = {"image without sentences": 1, "image of another split": 1}
    assert counted(karpathy, tmp_path) == ([Count("elements", 5)], 3, left_aside)
    sbu = SbuCaptions(name="own", path="s.json", media_root=".")
    columns = {"image_urls": ["http://x/dog.jpg", 3], "captions": ["a", "b", "c"]}
    _, failures = read(tmp_path, sbu, columns)
    assert len(failures) == 2
    assert counted(sbu, tmp_path) == ([Count("elements", 2)], 2, {})
    _, [failure] = read(tmp_path, sbu, {"image_urls": ["http://x/dog.jpg", "b", "c"]})
    assert (failure.units, failure.counts_as) == (3, 3)
    assert counted(sbu, tmp_path) == ([Count("elements", 3)], 3, {})


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


def test_a_url_that_cannot_be_read_fails_its_row_alone(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").write_bytes(make_image())
    text = b'{"image_urls": ["http://a/1.jpg", "h\x01/2.jpg", 3], "captions": ["a", "b", "c"]}'
    (tmp_path / "a.json").write_bytes(text)
    found = read_all(SbuCaptions(name="own", path="a.json", media_root="."), str(tmp_path))
    assert sum(batch.records.num_rows for batch in found) == 1
    assert [f.key for batch in found for f in batch.failures] == ["a.json#1", "a.json#2"]
