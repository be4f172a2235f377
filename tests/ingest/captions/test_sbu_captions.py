"""The reader of SBU captions: columns of urls and captions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from curate.ingest.captions.sbu_captions import SbuCaptions
from curate.ingest.formats import json_object
from curate.ingest.reader import Count
from tests.ingest.captions.two_images import CAT, CAT_PNG, DOG, counted, read, write_images
from tests.ingest.expected import caption_record, captions, kinds
from tests.make import make_image, read_all, splits


@pytest.fixture(autouse=True)
def _media(tmp_path: Path) -> None:
    write_images(tmp_path)


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
        assert failures[0].message.startswith("./dog.jpg: 2 different urls of the file, with")


def test_zero_rows_are_zero_records(tmp_path: Path) -> None:
    assert sbu(tmp_path, image_urls=[], captions=[]) == ([], [])


def test_urls_of_sbu_are_counted(tmp_path: Path) -> None:
    reader = SbuCaptions(name="own", path="s.json", media_root=".")
    columns = {"image_urls": ["http://x/dog.jpg", 3], "captions": ["a", "b", "c"]}
    _, failures = read(tmp_path, reader, columns)
    assert len(failures) == 2
    assert counted(reader, tmp_path) == ([Count("elements", 2)], 2, {})
    _, [failure] = read(tmp_path, reader, {"image_urls": ["http://x/dog.jpg", "b", "c"]})
    assert (failure.units, failure.counts_as) == (3, 3)
    assert counted(reader, tmp_path) == ([Count("elements", 3)], 3, {})


def test_a_url_that_cannot_be_read_fails_its_row_alone(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").write_bytes(make_image())
    text = b'{"image_urls": ["http://a/1.jpg", "h\x01/2.jpg", 3], "captions": ["a", "b", "c"]}'
    (tmp_path / "a.json").write_bytes(text)
    found = read_all(SbuCaptions(name="own", path="a.json", media_root="."), str(tmp_path))
    assert sum(batch.records.num_rows for batch in found) == 1
    assert [f.key for batch in found for f in batch.failures] == ["a.json#1", "a.json#2"]
