"""The header of an image is the one that Pillow gives; other files are a MediaError."""

from __future__ import annotations

import io
import struct
import time
import warnings
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from manifests.errors import MediaError
from manifests.media.header import PILLOW_FORMATS, Header, is_image, probe
from tests.make import make_image

KINDS = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
    "AVIF": "image/avif",
    "JPEG2000": "image/jp2",
    "PPM": "image/x-portable-pixmap",
}
NOT_IMAGES = frozenset([".mp4", ".webm", ".parquet", ".jsonl", ".tsv", ".tar", ".mdb", ".pdf"])
SMALL = {kind: make_image(80, 50, kind=kind) for kind in ("JPEG", "PNG", "WEBP", "GIF", "BMP")}
SAME = {"image/apng": "image/png", "image/mpo": "image/jpeg"}


def by_pillow(data: bytes) -> Header | None:
    """The header by Pillow; None if it opens no image, or a JPEG without a scan."""
    try:
        with (
            warnings.catch_warnings(action="ignore"),
            Image.open(io.BytesIO(data), formats=PILLOW_FORMATS) as image,
        ):
            mime = image.get_format_mimetype() or ""
            if mime == "image/jpeg" and not image.tile:
                return None
            return Header(SAME.get(mime, mime), *image.size)
    except Exception:
        return None


def by_probe(data: bytes) -> Header | None:
    try:
        return probe(data)
    except MediaError:
        return None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(1, 1), (63, 200), (4097, 16)])
def test_the_size_is_found_in_every_format(kind: str, size: tuple[int, int]) -> None:
    data = make_image(*size, kind=kind)
    assert probe(data) == Header(KINDS[kind], *size)
    assert is_image(data)


@pytest.mark.parametrize("kind", KINDS)
def test_data_may_be_any_kind_of_buffer(kind: str) -> None:
    data = make_image(300, 200, kind=kind)
    assert probe(memoryview(data).cast("b")) == probe(memoryview(data)) == probe(data)


@pytest.mark.parametrize("lossless", [True, False])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_the_size_is_found_in_every_kind_of_webp(lossless: bool, mode: str) -> None:
    out = io.BytesIO()
    exif = Image.Exif()
    Image.new(mode, (300, 41)).save(out, "WEBP", lossless=lossless, exif=exif)
    assert probe(out.getvalue()) == Header("image/webp", 300, 41)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
def test_a_header_cut_anywhere_is_truncated_or_complete(kind: str) -> None:
    data = make_image(80, 50, kind=kind)
    complete = probe(data)
    for cut in range(12, len(data)):
        found = by_probe(data[:cut])
        assert found in (complete, None)
    with pytest.raises(
        MediaError, match="the image is truncated: its 20 bytes end before its width and height"
    ):
        probe(data[:20] if kind != "GIF" else data[:19] + b"!")


def test_stray_bytes_between_markers_are_skipped_as_decoders_do() -> None:
    data = make_image(80, 50)
    assert probe(data[:20] + b"junk\x00" + data[20:]) == Header("image/jpeg", 80, 50)
    assert probe(data[:20] + b"\xff" * 9 + data[20:]) == Header("image/jpeg", 80, 50)


def test_the_size_of_a_gif_includes_its_first_frame() -> None:
    screen = struct.pack("<6sHHBBB", b"GIF89a", 10, 20, 0, 0, 0)
    comment = b"!\xfe\x05hello\x00"
    frame = struct.pack("<BHHHHB", 0x2C, 5, 5, 65000, 9, 0)
    assert probe(screen + comment + frame + b"\x02") == Header("image/gif", 65005, 20)
    with pytest.raises(MediaError, match="ends before its first frame"):
        probe(screen + comment + b";")


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "the file is not an image: it has no bytes."),
        (b"<html>", "the file is not an image: it starts with b'<html>'."),
        (
            b"MM\0*\0\0\0\x08\0\0",
            "the file begins as an image does, but Pillow cannot open it: it starts with "
            "b'MM\\x00*\\x00\\x00\\x00\\x08'.",
        ),
        (
            b"\x89PNG\r\n\x1a\n\0\0\0\rCgBI" + bytes(20),
            "the PNG is broken: its first chunk is b'CgBI', not IHDR.",
        ),
        (
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(20),
            "the image's header is broken: it states 0 x 0 pixels.",
        ),
        (
            b"RIFF\0\0\0\0WEBPXXXX" + bytes(20),
            "the WebP is broken: its first chunk is b'XXXX', not VP8, VP8L or VP8X.",
        ),
        (b"\xff\xd8\xff\x02" + bytes(20), "the JPEG is broken: 0xff02 is not a marker of JPEG."),
        (
            b"\xff\xd8\xff\xc3\x00\x0b\x10\x00\x10\x00\x10\x01" + bytes(20),
            "the JPEG is of an unsupported kind: 1 components of 16 bits.",
        ),
    ],
)
def test_the_error_names_the_fault(data: bytes, fault: str) -> None:
    with pytest.raises(MediaError) as error:
        probe(data)
    assert str(error.value) == fault


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8\xff\xe0\x00\x04ab" + b"\xff\x01" * (4 << 20),
        b"\xff\xd8\xff\xe0\x00\x04ab" + b"\x00" * (8 << 20),
        b"GIF89a\x01\x00\x01\x00\x00\x00\x00!\xfe" + b"\x01a" * (4 << 20),
        b"GIF89a\x01\x00\x01\x00\x00\x00\x00" + b"?" * (8 << 20),
    ],
    ids=["markers", "junk", "blocks", "no blocks"],
)
def test_eight_mebibytes_without_an_image_are_refused_in_time(data: bytes) -> None:
    start = time.process_time()
    with pytest.raises(MediaError, match="broken"):
        probe(data)
    assert time.process_time() - start < 2


@settings(max_examples=200)
@given(
    kind=st.sampled_from(list(SMALL)),
    changes=st.lists(st.tuples(st.integers(0, 700), st.integers(0, 255)), max_size=8),
    cut=st.integers(0, 700),
)
def test_damage_gives_a_header_or_a_media_error(
    kind: str, changes: list[tuple[int, int]], cut: int
) -> None:
    data = bytearray(SMALL[kind])
    for at, byte in changes:
        if at < len(data):
            data[at] = byte
    for piece in (bytes(data), bytes(data[:cut])):
        found = by_probe(piece)
        assert found is None or (found.width > 0 and found.height > 0)


def test_the_size_of_a_decompression_bomb_is_found_without_decoding() -> None:
    out = io.BytesIO()
    Image.new("1", (1, 1)).save(out, "TIFF")
    data = bytearray(out.getvalue())
    for at in range(8, len(data) - 12, 2):
        if struct.unpack_from("<HHI", data, at) in (
            (256, 4, 1),
            (256, 3, 1),
            (257, 4, 1),
            (257, 3, 1),
        ):
            struct.pack_into("<HII", data, at + 2, 4, 1, 90_000)
    assert probe(bytes(data)) == Header("image/tiff", 90_000, 90_000)


def images(folder: Path) -> list[Path]:
    return [p for p in sorted(folder.rglob("*")) if p.is_file() and p.suffix not in NOT_IMAGES]


def test_real_and_hostile_images_have_the_header_that_pillow_gives(real_data: Path) -> None:
    agreed = 0
    for path in images(real_data):
        data = path.read_bytes()
        pillow = by_pillow(data)
        if pillow is not None:
            assert by_probe(data) == pillow, path
            agreed += 1
    assert agreed > 1800


def test_images_that_pillow_refuses_are_refused_except_broken_frames(real_data: Path) -> None:
    accepted = {
        str(path.relative_to(real_data))
        for path in images(real_data)
        if by_pillow(data := path.read_bytes()) is None and by_probe(data) is not None
    }
    tests = "hostile/jpeg_decoder_crashtest/tests/crashtest/images/imagetestsuite"
    assert accepted == {
        f"{tests}/2183d39878e734cf79b62428b02fafb5.jpg",
        f"{tests}/a7326ba8f3f4559991126474dd30083d.jpg",
    }


def test_every_image_is_recognized_by_its_first_bytes(real_data: Path) -> None:
    for path in images(real_data):
        data = path.read_bytes()
        if by_pillow(data) is not None:
            assert is_image(data[:64]), path
