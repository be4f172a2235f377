"""An image of a folder becomes one record with its sidecar files, or one failure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from curate.ingest.captions.folder import GROUP_STEMS, Folder
from curate.ingest.reader import Failure, Head
from manifests import record
from manifests.errors import InputError
from manifests.media import Limits, Media, Reference
from manifests.storage import File
from tests.make import make_image, read_all

JPEG = make_image(64, 48)
PNG = make_image(32, 40, seed=1, kind="PNG")
FIX = "Put an intact image in its place, or leave it in quarantine."


def folder(base: Path, files: dict[str, bytes]) -> Folder:
    for name, data in files.items():
        path = base / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return Folder(name="photos", path="photos")


def read_rows(reader: Folder, base: Path, limits: Limits | None = None) -> list[dict[str, Any]]:
    rows = []
    for found in read_all(reader, str(base), limits):
        assert found.records.schema == record.SCHEMA
        for row in found.records.to_pylist():
            [media] = row["media"]
            row["texts"] = [s["text"] for s in row["content"] if s["kind"] == "text"]
            row["image"] = {k: v for k, v in media.items() if v is not None}
            rows.append({k: row[k] for k in ("id", "origin", "texts", "image", "meta")})
    return rows


def failures(reader: Folder, base: Path, limits: Limits | None = None) -> list[Failure]:
    return [failure for found in read_all(reader, str(base), limits) for failure in found.failures]


def failed(name: str, error: str, message: str, files: int = 1) -> Failure:
    """A failure of an image with the files beside it, `files` in all."""
    return Failure(name, f"photos/{name}", error, message, files, 1 if files > 1 else None)


def listed(count: int) -> list[File]:
    names = [f"{n:09d}{end}" for n in range(count) for end in (".jpg", ".json", ".txt")]
    return [File(f"photos/{name}", name, 1, 0) for name in names]


def test_an_image_is_a_record_with_the_text_and_fields_beside_it(tmp_path: Path) -> None:
    fields = json.dumps({"caption": "a dog", "key": "000000001", "exif": "{}"}).encode()
    reader = folder(
        tmp_path,
        {
            "00000/000000001.jpg": JPEG,
            "00000/000000001.json": fields,
            "00000/000000001.txt": b"a dog\n",
            "00000_stats.json": b'{"successes": 1}',
            "00000.parquet": b"PAR1",
        },
    )
    assert read_rows(reader, tmp_path) == [
        {
            "id": record.record_id("photos", "00000/000000001.jpg"),
            "origin": "photos/00000/000000001.jpg",
            "texts": ["a dog"],
            "image": {
                "kind": "image",
                "uri": "photos/00000/000000001.jpg",
                "length": len(JPEG),
                "mime": "image/jpeg",
                "width": 64,
                "height": 48,
            },
            "meta": '{"key":"000000001","exif":"{}"}',
        }
    ]
    assert failures(reader, tmp_path) == []
    media = Media(str(tmp_path))
    assert media.read(Reference("photos/00000/000000001.jpg", None, len(JPEG))) == JPEG


def test_images_without_a_caption_and_images_of_one_name_are_records(tmp_path: Path) -> None:
    files = {"a.JPG": JPEG, "b.v1.jpg": JPEG, "b.v1.png": PNG, "b.v1.txt": b"both", "b.gif": b"x"}
    rows = read_rows(folder(tmp_path, files), tmp_path)
    assert [(r["origin"], r["texts"]) for r in rows] == [
        ("photos/a.JPG", []),
        ("photos/b.v1.jpg", ["both"]),
        ("photos/b.v1.png", ["both"]),
    ]


def test_failures_name_the_file_the_fault_and_the_fix(tmp_path: Path) -> None:
    files = {
        "cut.jpg": JPEG[:200],
        "empty.jpg": b"",
        "latin.jpg": JPEG,
        "latin.txt": b"caf\xe9",
        "broken.jpg": JPEG,
        "broken.png": PNG,
        "broken.json": b"{",
        "lonely.txt": b"a caption",
        "nested/lonely.json": b"{}",
    }
    reader = folder(tmp_path, files)
    assert read_rows(reader, tmp_path) == []
    parse = (
        ".json file, character 1: broken JSON: unexpected end of data, after '{'. Repair the JSON."
    )
    assert failures(reader, tmp_path) == [
        failed("broken.jpg", "RowError", parse, files=2),
        failed("broken.png", "RowError", parse),
        failed(
            "cut.jpg",
            "MediaError",
            ".jpg file: the image is truncated: its 200 bytes end before its width and height. "
            f"{FIX}",
        ),
        failed(
            "empty.jpg",
            "MediaError",
            f".jpg file: the file is not an image: it has no bytes. {FIX}",
        ),
        failed(
            "latin.jpg",
            "RowError",
            ".txt file: byte 3 is 0xe9, which is not UTF-8. Convert the caption to UTF-8.",
            files=2,
        ),
        failed(
            "lonely.txt",
            "RowError",
            (
                "no image has the same name as the file 'lonely.txt'. Add an image such as "
                "lonely.jpg, or leave the file out with `exclude`."
            ),
        ),
        failed(
            "nested/lonely.json",
            "RowError",
            (
                "no image has the same name as the file 'nested/lonely.json'. Add an image such "
                "as nested/lonely.jpg, or leave the file out with `exclude`."
            ),
        ),
    ]


def test_limits_hold_before_an_image_is_opened(tmp_path: Path) -> None:
    reader = folder(tmp_path, {"a.jpg": JPEG, "b.png": PNG})
    assert failures(reader, tmp_path, Limits(max_bytes=2000, max_pixels=3000)) == [
        failed(
            "a.jpg",
            "LimitError",
            (
                ".jpg file: 64 x 48 pixels is over the limit of 3000. Raise media.max_pixels, "
                "or leave the file in quarantine."
            ),
        ),
        failed(
            "b.png",
            "LimitError",
            (
                f".png file: {len(PNG)} bytes is over the limit of 2000. Raise "
                "media.max_bytes, or leave the file in quarantine."
            ),
        ),
    ]


def test_a_header_beyond_the_first_64_kib_is_found(tmp_path: Path) -> None:
    comments = b"\xff\xfe\xff\xff" + bytes(65533)
    reader = folder(tmp_path, {"a.jpg": JPEG[:2] + comments * 3 + JPEG[2:]})
    assert [r["image"]["width"] for r in read_rows(reader, tmp_path)] == [64]


def test_a_folder_of_other_files_is_refused(tmp_path: Path) -> None:
    match = r"1 file, but none that the reader reads \(suffixes: .*; left aside: .mp4 1"
    with pytest.raises(InputError, match=match):
        folder(tmp_path, {"a.mp4": b"x"}).list_files(str(tmp_path))


def test_groups_have_all_files_of_about_2000_names() -> None:
    files = listed(30_000)
    groups = Folder(name="photos", path="photos").groups(files)
    assert sorted(file for group in groups for file in group) == sorted(files)
    stems = [{file.name.partition(".")[0] for file in group} for group in groups]
    assert sum(map(len, stems)) == len(set().union(*stems)) == 30_000
    assert 30_000 / GROUP_STEMS / 2 < len(groups) < 30_000 / GROUP_STEMS * 2


@pytest.mark.parametrize("extra", ["000012345a.jpg", "000012345.png", "0.jpg", "zzz.txt"])
def test_a_file_more_changes_its_own_group_and_no_other(extra: str) -> None:
    reader, files = Folder(name="photos", path="photos"), listed(30_000)
    before = {tuple(group) for group in reader.groups(files)}
    added = File(f"photos/{extra}", extra, 1, 0)
    after = {tuple(group) for group in reader.groups([added, *files])}
    assert len(before - after) == 1
    assert {file for group in after - before for file in group} == {
        added,
        *(file for group in before - after for file in group),
    }


def test_a_group_starts_with_an_image_if_it_has_one(tmp_path: Path) -> None:
    reader = folder(tmp_path, {"LICENSE.txt": b"x", "a.txt": b"a", "a.webp": b"x", "b.jpg": JPEG})
    [group] = reader.groups(reader.list_files(str(tmp_path)))
    assert [file.name for file in group] == ["a.webp", "a.txt", "b.jpg", "LICENSE.txt"]


def test_an_image_is_sniffed_by_its_first_bytes() -> None:
    def sniffed(name: str, data: bytes) -> bool:
        return Folder.sniff(Head(File(name, name, len(data), 0), data[:512]))

    assert sniffed("a.bin", JPEG)
    assert sniffed("a.bin", PNG)
    assert not sniffed("a.jpg", b"<html>")
    assert not sniffed("a.txt", b"Press any key")


def test_every_file_of_real_folders_is_a_record_or_a_failure(real_data: Path) -> None:
    base = real_data / "captions"
    reader = Folder(name="photos", path="skimage_data")
    rows, failed = read_rows(reader, base), failures(reader, base)
    assert [f.key for f in failed] == ["multipage_rgb.tif", "truncated.jpg", "LICENSE.txt"]
    files = reader.list_files(str(base))
    assert len(rows) + len(failed) == len(files) == 41
    assert {r["origin"] for r in rows} | {f.origin for f in failed} == {f.uri for f in files}


def test_a_real_book_of_images_is_read_completely(real_data: Path) -> None:
    reader = Folder(name="photos", path="openstax")
    rows = read_rows(reader, real_data / "captions")
    assert failures(reader, real_data / "captions") == []
    assert len(rows) == len(list((real_data / "captions/openstax").rglob("*.jpg"))) > 800
    assert all(0 < r["image"]["width"] <= 480 for r in rows)
