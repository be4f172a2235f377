"""Digests of media are those of their bytes, and no other field changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from filters.image.media_digest import MediaDigest
from manifests import storage
from manifests.media import FIX_MISSING_FILE, Limits, Media
from manifests.record import MEDIA
from tests.filters.rows import answers, measured, media_records, text_records
from tests.make import make_image

KNOWN = "xxh128:" + "0" * 32


def written(path: Path, data: bytes) -> str:
    """Write a file as runs do; returns the digest that they record."""
    with storage.writing(str(path)) as sink:
        sink.write(data)
    return sink.digest


def digests(answer: dict[str, list[Any]]) -> list[list[str | None]]:
    return [[medium["digest"] for medium in media] for media in answer["media"]]


@pytest.fixture
def place(tmp_path: Path) -> Media:
    (tmp_path / "a.tar").write_bytes(b"before" + b"content" + b"after")
    return Media(str(tmp_path))


def test_a_digest_is_that_of_a_written_file(tmp_path: Path) -> None:
    shown, filmed = (
        written(tmp_path / "a.jpg", make_image()),
        written(tmp_path / "b.mp4", b"\0" * 100_000),
    )
    empty = written(tmp_path / "none", b"")
    batch = media_records(
        [{"kind": "image", "uri": "a.jpg"}, {"kind": "video", "uri": "b.mp4"}],
        [],
        [{"kind": "image", "uri": "none"}, {"kind": "image", "uri": "a.jpg"}],
    )
    answer = answers(MediaDigest(), batch, Media(str(tmp_path)))
    assert digests(answer) == [[shown, filmed], [], [empty, shown]]
    assert (answer["drop"], answer["error"]) == ([None] * 3, [None] * 3)


def test_a_byte_range_of_a_file_has_the_digest_of_its_bytes(tmp_path: Path, place: Media) -> None:
    batch = media_records([{"kind": "image", "uri": "a.tar", "offset": 6, "length": 7}])
    answer = answers(MediaDigest(), batch, place)
    assert digests(answer) == [[written(tmp_path / "alone", b"content")]]


def test_media_with_a_digest_keep_it_and_are_not_read(place: Media) -> None:
    batch = media_records([{"kind": "image", "uri": "nowhere", "digest": KNOWN}])
    answer = answers(MediaDigest(), batch, place)
    assert (digests(answer), answer["error"]) == ([[KNOWN]], [None])


def test_a_missing_file_is_an_error_of_its_record_alone(place: Media) -> None:
    there, gone = {"kind": "image", "uri": "a.tar"}, {"kind": "image", "uri": "gone.jpg"}
    other = {"kind": "image", "uri": "other.jpg"}
    batch = media_records([there], [there, gone, other], [gone], [there])
    answer = answers(MediaDigest(), batch, place)
    fault = f"gone.jpg: there is no such file. {FIX_MISSING_FILE}"
    assert answer["error"] == [None, fault, fault, None]
    (known,) = digests(answer)[0]
    assert known is not None
    assert digests(answer) == [[known], [None, None, None], [None], [known]]


def test_a_file_over_the_limit_is_an_error_of_its_record(tmp_path: Path, place: Media) -> None:
    batch = media_records([{"kind": "video", "uri": "a.tar"}])
    media = Media(str(tmp_path), limits=Limits(max_bytes=17))
    answer = answers(MediaDigest(), batch, media)
    assert answer["error"][0].startswith("a.tar: 18 bytes is over the limit of 17.")


def test_only_the_digest_changes_and_the_type_is_that_of_the_record(place: Media) -> None:
    full = {"kind": "video", "uri": "a.tar", "offset": 0, "length": 6, "mime": "video/mp4",
            "width": 640, "height": 480, "duration": 1.5, "fps": 30.0, "frames": 45}  # fmt: skip
    batch = media_records(
        [full, {"kind": "image", "uri": "a.tar"}], [], [{"kind": None, "uri": "a.tar"}]
    )
    made = measured(MediaDigest(), batch, place)[0]["media"]
    assert made.type == pa.list_(MEDIA) == batch.schema.field("media").type
    before, after = batch["media"].to_pylist(), made.to_pylist()
    for media in (*before, *after):
        for medium in media:
            del medium["digest"]
    assert after == before


def test_slices_give_the_same_answers(place: Media) -> None:
    tar = {"kind": "image", "uri": "a.tar"}
    parts = [{**tar, "offset": n, "length": 3} for n in range(6)]
    batch = media_records(parts[:2], [], [tar, {**tar, "digest": KNOWN}], parts[2:])
    whole = answers(MediaDigest(), batch, place)
    for start in range(5):
        part = {name: column[start:] for name, column in whole.items()}
        assert answers(MediaDigest(), batch[start:], place) == part
    joined = pa.concat_tables([batch[2:], batch[:2]])
    assert answers(MediaDigest(), joined, place) == {n: c[2:] + c[:2] for n, c in whole.items()}


def test_no_records_have_no_digests() -> None:
    assert answers(MediaDigest(), text_records()) == {"media": [], "drop": [], "error": []}
