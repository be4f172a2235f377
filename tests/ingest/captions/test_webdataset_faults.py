"""What cannot become a record is one failure: its key, its fault with the value, and the fix."""

from __future__ import annotations

import struct
import tarfile
import zlib
from pathlib import Path

import pytest

from curate.ingest.captions import webdataset
from curate.ingest.captions.webdataset import WebDataset
from curate.ingest.reader import Failure
from manifests.media import Limits
from tests.ingest.tars import JPEG, PNG, WEBP, failure, failures, read_samples, shard


def test_failures_name_the_sample_the_fault_and_the_fix(tmp_path: Path) -> None:
    fix = "Put an intact image in its place, or leave it in quarantine."
    members = [
        ("cut.jpg", JPEG[:200]),
        ("garbage.jpg", b"<html>404</html>"),
        ("empty.png", b""),
        ("good.jpg", JPEG),
        ("text.txt", b"no image"),
        ("text.json", b"{}"),
        ("latin.jpg", JPEG),
        ("latin.txt", "caf\xe9".encode("latin-1")),
        ("broken.jpg", JPEG),
        ("broken.json", b'{"caption": "a'),
        ("list.jpg", JPEG),
        ("list.json", b"[1, 2]"),
        ("number.jpg", JPEG),
        ("number.json", b'{"caption": 7}'),
        ("one.0.jpg", JPEG),
        ("one.1.jpg", JPEG[:100]),
    ]
    reader = shard(tmp_path, members)
    assert [r["origin"] for r in read_samples(reader, tmp_path)] == ["a.tar#good"]
    assert failures(reader, tmp_path) == [
        failure(
            "cut",
            "MediaError",
            ".jpg file: the image is truncated: its 200 bytes end before its width and height. "
            f"{fix}",
        ),
        failure(
            "garbage",
            "MediaError",
            f".jpg file: the file is not an image: it starts with b'<html>40'. {fix}",
        ),
        failure(
            "empty", "MediaError", f".png file: the file is not an image: it has no bytes. {fix}"
        ),
        failure(
            "text",
            "RowError",
            (
                "the sample has no image: its members are txt, json. Name the image members "
                "KEY.jpg, KEY.png, KEY.webp or similar."
            ),
            units=2,
        ),
        failure(
            "latin",
            "RowError",
            ".txt file: byte 3 is 0xe9, which is not UTF-8. Convert the caption to UTF-8.",
            units=2,
        ),
        failure(
            "broken",
            "RowError",
            ".json file, character 14: broken JSON: unexpected end of data, after "
            '\'{"caption": "a\'. '
            "Repair the JSON.",
            units=2,
        ),
        failure(
            "list",
            "RowError",
            (
                ".json file: the content is [1,2], not a JSON object. Write one JSON object for "
                "each sample."
            ),
            units=2,
        ),
        failure(
            "number",
            "RowError",
            (
                ".json file: the field 'caption' is 7, not text. Name another field in the "
                "setting 'caption'."
            ),
            units=2,
        ),
        failure(
            "one",
            "MediaError",
            ".1.jpg file: the image is truncated: its 100 bytes end before its width and "
            f"height. {fix}",
            2,
        ),
    ]


def bomb() -> bytes:
    """A PNG of 120000 x 90000 pixels in some bytes."""
    size = struct.pack(">IIBBBBB", 120_000, 90_000, 8, 2, 0, 0, 0)
    checksum = struct.pack(">I", zlib.crc32(b"IHDR" + size))
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + size + checksum


def test_a_decompression_bomb_is_quarantined_unopened(tmp_path: Path) -> None:
    assert failures(shard(tmp_path, [("0.png", bomb())]), tmp_path) == [
        failure(
            "0",
            "LimitError",
            (
                ".png file: 120000 x 90000 pixels is over the limit of 89478485. Raise "
                "media.max_pixels, or leave the file in quarantine."
            ),
        )
    ]


def test_an_image_over_max_bytes_is_quarantined(tmp_path: Path) -> None:
    reader, limits = shard(tmp_path, [("0.jpg", JPEG), ("1.webp", WEBP)]), Limits(max_bytes=500)
    assert len(WEBP) <= 500 < len(JPEG)
    assert [r["origin"] for r in read_samples(reader, tmp_path, limits)] == ["a.tar#1"]
    assert failures(reader, tmp_path, limits) == [
        failure(
            "0",
            "LimitError",
            (
                f".jpg file: {len(JPEG)} bytes is over the limit of 500. Raise "
                "media.max_bytes, or leave the file in quarantine."
            ),
        )
    ]


def test_a_caption_of_32_mebibytes_is_quarantined(tmp_path: Path) -> None:
    members = [("0.jpg", JPEG), ("0.txt", b"x" * (32 << 20))]
    assert failures(shard(tmp_path, members), tmp_path) == [
        failure(
            "0",
            "LimitError",
            (
                ".txt file: 33554432 bytes is over the limit of 16777216 bytes for a text or JSON "
                "file beside an image. The file should contain only the caption and its fields: "
                "shorten the file, or raise media.max_sidecar_bytes."
            ),
            units=2,
        )
    ]


@pytest.mark.parametrize(
    "name",
    ["../../etc/x", "/etc/x.jpg", "a/../../x.jpg", "..\\x.jpg", "C:\\x.jpg", "C:/x.jpg", "a/.."],
)
def test_a_member_that_leaves_the_archive_is_quarantined_alone(tmp_path: Path, name: str) -> None:
    reader = shard(tmp_path, [("0.jpg", JPEG), (name, JPEG), ("0.txt", b"a")])
    assert [(r["origin"], r["text"]) for r in read_samples(reader, tmp_path)] == [("a.tar#0", "a")]
    fault = f"the member name {name!r} is an absolute path, or leads out of the archive."
    assert failures(reader, tmp_path) == [
        failure(name, "RowError", f"{fault} Create the tar again with relative names.")
    ]


@pytest.mark.parametrize("name", ["a..b.jpg", "..a/b.jpg", "a:b.jpg", "./a.jpg"])
def test_a_name_with_dots_that_stays_inside_is_a_name(tmp_path: Path, name: str) -> None:
    assert failures(shard(tmp_path, [(name, JPEG)]), tmp_path) == []


def test_two_members_of_one_name_fail_their_sample(tmp_path: Path) -> None:
    reader = shard(tmp_path, [("0.jpg", JPEG), ("0.JPG", PNG), ("0.txt", b"a"), ("1.jpg", JPEG)])
    assert [r["origin"] for r in read_samples(reader, tmp_path)] == ["a.tar#1"]
    assert failures(reader, tmp_path) == [
        failure(
            "0",
            "RowError",
            (
                "the sample has two members with the name '0.JPG'. Give every member of a sample "
                "its own name."
            ),
            units=3,
        )
    ]


@pytest.mark.parametrize("largest", [1 << 30, 0])
def test_all_samples_with_a_repeated_key_are_quarantined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, largest: int
) -> None:
    monkeypatch.setattr(webdataset, "SPLIT_TAR_BYTES", largest)
    members = [
        ("0.jpg", JPEG),
        ("0.cls", b"7"),
        ("1.jpg", JPEG),
        ("0.txt", b"late"),
        ("0.png", PNG),
    ]
    reader = shard(tmp_path, members)
    assert [r["origin"] for r in read_samples(reader, tmp_path)] == ["a.tar#1"]
    fault = (
        "the key '0' occurs more than once in this tar. Put the members of a sample one after "
        "another (`tar --sort=name`), and give each sample its own key."
    )
    expected = failure("0", "RowError", fault, units=2)
    assert failures(reader, tmp_path) == [expected, expected]


def test_a_link_in_place_of_an_image_fails_its_sample(tmp_path: Path) -> None:
    reader = shard(tmp_path, [("0.jpg", JPEG)])
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        link = tarfile.TarInfo("1.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    assert failures(reader, tmp_path) == [
        failure(
            "1",
            "RowError",
            (
                "'1.jpg' is a link to '/etc/passwd', and has no bytes of its own. Create the tar "
                "again with --dereference --hard-dereference and without --sparse."
            ),
        )
    ]


def test_a_tar_cut_anywhere_loses_only_the_sample_at_the_cut(tmp_path: Path) -> None:
    members = [
        (f"{n}.{end}", data) for n in range(4) for end, data in (("jpg", JPEG), ("txt", b"a"))
    ]
    reader = shard(tmp_path, members)
    whole = (tmp_path / "a.tar").read_bytes()
    sample_bytes = 512 + -(-len(JPEG) // 512) * 512 + 1024
    for cut in range(600, 4 * sample_bytes, 300):
        (tmp_path / "a.tar").write_bytes(whole[:cut])
        known_whole = max(0, cut - 512) // sample_bytes  # the next sample's header has come
        assert [(r["origin"], r["text"]) for r in read_samples(reader, tmp_path)] == [
            (f"a.tar#{n}", "a") for n in range(known_whole)
        ]
        [failure] = failures(reader, tmp_path)
        assert failure.key == f"a.tar#{known_whole}"
        assert failure.message.endswith("Download or create the tar again.")


def test_a_file_that_is_no_tar_is_one_failure(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"<html>404 not found</html>")
    fix = "Set the path of the source to tars that are not compressed."
    assert failures(WebDataset(name="web", path="a.tar"), tmp_path) == [
        Failure(
            "a.tar",
            "a.tar",
            "FileError",
            f"the file is not a tar: it starts with b'<html>40'. {fix}",
        )
    ]


def test_hostile_images_in_a_tar_are_records_or_failures_and_nothing_else(
    tmp_path: Path, real_data: Path
) -> None:
    files = [p for p in sorted((real_data / "hostile/pillow").glob("*")) if p.is_file()]
    reader = shard(tmp_path, [(f"{n:03d}.jpg", path.read_bytes()) for n, path in enumerate(files)])
    counts = len(read_samples(reader, tmp_path)), len(failures(reader, tmp_path))
    assert sum(counts) == len(files) > 100
    assert all(counts)
