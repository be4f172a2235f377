"""Chats that are cut, broken or about missing images: each fault costs its sample alone."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from curate.ingest.captions.llava import Llava
from curate.ingest.reader import Context, Failure, ReadBatch
from manifests.errors import FileError
from manifests.media import Limits, Media
from manifests.media.blobs import BlobFile
from tests.ingest.captions.chats import (
    ANSWER,
    CAT,
    CAT_CONTENT,
    DOG,
    DOG_CONTENT,
    contents,
    read,
    write_images,
)
from tests.ingest.expected import kinds
from tests.make import make_image, read_all, splits


@pytest.fixture(autouse=True)
def _media(tmp_path: Path) -> None:
    write_images(tmp_path)


def read_one(folder: Path, sample: Any) -> Failure:
    rows, failures = read(folder, json.dumps([sample]).encode())
    assert (rows, len(failures)) == ([], 1)
    return failures[0]


def test_an_array_cut_in_half_gives_the_samples_before_the_cut(tmp_path: Path) -> None:
    data = json.dumps([DOG, CAT, DOG]).encode()[:-40]
    rows, failures = read(tmp_path, data)
    assert contents(rows) == [DOG_CONTENT, CAT_CONTENT]
    assert failures == [
        Failure(
            "a.json#2",
            "a.json#2",
            "RowError",
            f"the file ends inside this element, at byte {len(data)}. Correct the JSON in the "
            "file.",
        )
    ]


def test_a_line_cut_in_half_fails_alone(tmp_path: Path) -> None:
    dog, cat = json.dumps(DOG), json.dumps(CAT)
    rows, failures = read(tmp_path, f"{dog}\n{dog[:30]}\n{cat}\n{cat[:40]}".encode(), "a.jsonl")
    assert contents(rows) == [DOG_CONTENT, CAT_CONTENT]
    assert kinds(failures) == [("a.jsonl#2", "RowError"), ("a.jsonl#4", "RowError")]


MANY = [{**DOG, "id": f"{n:x}" * 9} for n in range(30_000)]


def half(data: bytes) -> bytes:
    packed = gzip.compress(data, 1)
    return packed[: len(packed) // 2]


def test_truncated_compressed_lines_give_their_complete_samples_and_an_error(
    tmp_path: Path,
) -> None:
    data = b"\n".join(json.dumps(sample).encode() for sample in MANY)
    (tmp_path / "a.jsonl.gz").write_bytes(half(data))
    reader, batches = Llava(name="own", path="a.jsonl.gz"), list[ReadBatch]()
    context = Context(str(tmp_path), Media(str(tmp_path)), BlobFile())
    with pytest.raises(FileError, match="the gzip file is broken"):
        batches.extend(reader.read(splits(reader, str(tmp_path))[0], context))
    assert 0 < sum(batch.records.num_rows for batch in batches) < 30_000


def test_a_truncated_compressed_array_gives_its_complete_samples_and_a_failure(
    tmp_path: Path,
) -> None:
    rows, failures = read(tmp_path, half(json.dumps(MANY).encode()), "a.json.gz")
    assert 0 < len(rows) < 30_000
    assert kinds(failures) == [(f"a.json.gz#{len(rows)}", "RowError")]


def test_invalid_utf8_fails_one_sample(tmp_path: Path) -> None:
    bad = json.dumps(DOG).encode().replace(b"A dog", b"A \xff dog")
    for name, data in {
        "a.json": b"[" + bad + b", " + json.dumps(CAT).encode() + b"]",
        "b.jsonl": bad + b"\n" + json.dumps(CAT).encode(),
    }.items():
        rows, failures = read(tmp_path, data, name)
        assert contents(rows) == [CAT_CONTENT]
        assert [f.message[:16] for f in failures] == ["the byte 0xff at"]


def test_deep_nesting_fails_one_sample(tmp_path: Path) -> None:
    deep = b'{"conversations": ' + b"[" * 5000 + b"]" * 5000 + b"}"
    rows, failures = read(tmp_path, b"[" + deep + b", " + json.dumps(CAT).encode() + b"]")
    assert contents(rows) == [CAT_CONTENT]
    assert kinds(failures) == [("a.json#0", "RowError")]


def test_a_sample_with_a_key_twice_is_a_failure_that_names_both_values(tmp_path: Path) -> None:
    data = json.dumps([DOG]).encode().replace(b'"image": ', b'"image": "gone.jpg", "image": ')
    rows, [failure] = read(tmp_path, data)
    assert rows == []
    assert "key 'image': it occurs twice in one object, with 'gone.jpg' and" in failure.message


def test_a_sample_with_video_is_a_failure(tmp_path: Path) -> None:
    failure = read_one(tmp_path, {**DOG, "video": "a.mp4"})
    assert (failure.key, failure.error) == ("a.json#0", "RowError")
    assert failure.message == (
        "the sample has a video, which this reader does not support. "
        "Remove the video, or leave the sample in quarantine."
    )


@pytest.mark.parametrize(
    "path", ["../secret.jpg", "sub/../../secret.jpg", "/etc/passwd", "s3://bucket/a.jpg", "a\0b"]
)
def test_a_path_that_leaves_media_root_is_a_failure(tmp_path: Path, path: str) -> None:
    (tmp_path.parent / "secret.jpg").write_bytes(make_image())
    assert read_one(tmp_path, {**DOG, "image": path}).error == "RowError"


def test_an_image_that_is_missing_broken_or_too_large_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_bytes(b"no image")
    assert read_one(tmp_path, {**DOG, "image": "gone.jpg"}).error == "MediaError"
    assert read_one(tmp_path, {**DOG, "image": "text.jpg"}).error == "MediaError"
    (tmp_path / "a.json").write_bytes(json.dumps([DOG]).encode())
    found = read_all(Llava(name="own", path="a.json"), str(tmp_path), Limits(max_pixels=100))
    assert kinds(found[0].failures) == [("a.json#0", "LimitError")]


@pytest.mark.parametrize(
    "sample",
    [
        3,
        None,
        "text",
        [],
        {},
        {**DOG, "conversations": "text"},
        {**DOG, "conversations": []},
        {**DOG, "conversations": [3]},
        {**DOG, "conversations": [ANSWER]},
        {**DOG, "image": ["dog.jpg", "dog.jpg"]},
        {**DOG, "image": {"bytes": "x"}},
        {**DOG, "image": [3]},
        {**DOG, "image": None},
    ],
)
def test_anything_but_a_sample_is_a_failure(tmp_path: Path, sample: Any) -> None:
    assert read_one(tmp_path, sample).error == "RowError"


def test_a_sample_with_two_lists_of_images_is_a_failure(tmp_path: Path) -> None:
    failure = read_one(tmp_path, {**DOG, "images": ["sub/cat.png"]})
    assert failure.message.startswith("the sample has both 'image' and 'images'.")
