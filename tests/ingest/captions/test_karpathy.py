"""The reader of Karpathy's splits: one file of images with their sentences."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from curate.ingest.captions.karpathy import Karpathy
from curate.ingest.reader import Count
from tests.ingest.captions.two_images import CAT, DOG, counted, read, write_images
from tests.ingest.expected import caption_record, captions, kinds


@pytest.fixture(autouse=True)
def _media(tmp_path: Path) -> None:
    write_images(tmp_path)


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


def test_images_of_karpathy_are_counted(tmp_path: Path) -> None:
    sentences = [{"raw": "A dog."}, {"raw": 3}, {"raw": "Runs."}]
    images = [
        {"filename": "dog.jpg", "split": "train", "sentences": sentences},
        {"filename": "dog.jpg", "split": "train", "sentences": []},
        {"filename": "dog.jpg", "split": "val", "sentences": sentences},
        {"filename": "gone.jpg", "split": "train", "sentences": sentences},
        7,
    ]
    reader = Karpathy(name="own", path="k.json", split="train")
    _, failures = read(tmp_path, reader, {"images": images})
    assert sum(failure.counts_as for failure in failures) == len(failures) == 5
    left_aside = {"image without sentences": 1, "image of another split": 1}
    assert counted(reader, tmp_path) == ([Count("elements", 5)], 3, left_aside)
