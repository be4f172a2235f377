"""Media: byte ranges, limits, scale, and one decode that all steps share."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from manifests.errors import LimitError, MediaError, foreign_message
from manifests.media import Limits, Media, Reference
from manifests.media import media as module
from manifests.media.header import Header, orientation, probe
from tests.make import make_image


def save(folder: Path, data: bytes, name: str = "a.jpg") -> Reference:
    (folder / name).write_bytes(data)
    return Reference(name)


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def test_a_reference_is_a_complete_file_or_a_byte_range(tmp_path: Path) -> None:
    save(tmp_path, b"0123456789", "f")
    media = Media(str(tmp_path))
    assert media.read(Reference("f")) == b"0123456789"
    assert media.read(Reference("f", 2, 3)) == b"234"
    assert (media.size(Reference("f")), media.size(Reference("f", 2, 3))) == (10, 3)
    media.close()


def test_a_byte_range_beyond_the_end_is_truncated(tmp_path: Path) -> None:
    save(tmp_path, b"0123456789", "f")
    with pytest.raises(
        MediaError,
        match=r"f@8: the file is truncated: it has 2 of the 5 bytes that the record refers to",
    ):
        Media(str(tmp_path)).read(Reference("f", 8, 5))


def test_kept_bytes_are_in_the_folder_of_the_parts(tmp_path: Path) -> None:
    (tmp_path / "steps/00-x").mkdir(parents=True)
    (tmp_path / "steps/00-x/p.media").write_bytes(b"abcdef")
    media = Media("/nowhere", str(tmp_path / "steps"))
    assert media.read(Reference("kept:00-x/p.media", 1, 2)) == b"bc"


@pytest.mark.parametrize("name", ["../secret", "a/../../secret", "/etc/passwd", "a\\..\\b", ""])
def test_a_reference_to_stored_bytes_that_leads_out_of_the_run_is_refused(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / "secret").write_bytes(b"abc")
    media = Media(str(tmp_path), str(tmp_path / "steps"))
    for read in (media.read, media.size, media.header):
        with pytest.raises(MediaError, match="is not a plain path inside the folder"):
            read(Reference(f"kept:{name}", None, None))


def test_a_missing_file_is_a_media_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"missing\.jpg: there is no such file"):
        Media(str(tmp_path)).header(Reference("missing.jpg"))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_a_header_has_format_and_size_without_decoding(tmp_path: Path, kind: str) -> None:
    ref = save(tmp_path, make_image(70, 50, kind=kind))
    assert Media(str(tmp_path)).header(ref) == Header(f"image/{kind.lower()}", 70, 50)


def test_a_header_after_long_metadata_is_found(tmp_path: Path) -> None:
    image = Image.open(io.BytesIO(make_image(70, 50)))
    data = encode(image, "JPEG", icc_profile=b"p" * 100_000)
    assert Media(str(tmp_path)).header(save(tmp_path, data)) == Header("image/jpeg", 70, 50)


def test_more_pixels_than_the_limit_are_never_decoded(tmp_path: Path) -> None:
    ref = save(tmp_path, make_image(70, 50))
    media = Media(str(tmp_path), limits=Limits(max_pixels=3499))
    for method in (media.header, media.image):
        with pytest.raises(LimitError, match=r"70 x 50 pixels is over the limit of 3499\. Raise"):
            method(ref)
    assert Media(str(tmp_path), limits=Limits(max_pixels=3500)).image(ref).size == (70, 50)


def test_more_bytes_than_the_limit_are_never_read(tmp_path: Path) -> None:
    ref = save(tmp_path, make_image(70, 50))
    media = Media(str(tmp_path), limits=Limits(max_bytes=100))
    with pytest.raises(LimitError, match="bytes is over the limit of 100"):
        media.read(ref)
    with pytest.raises(LimitError, match="bytes is over the limit of 100"):
        media.read(Reference(ref.uri, 0, 101))


def test_more_frames_than_the_limit_are_refused(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), (40 * n, 0, 0)) for n in range(6)]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    ref = save(tmp_path, data, "a.gif")
    with pytest.raises(LimitError, match="over the limit of 5"):
        Media(str(tmp_path), limits=Limits(max_frames=5)).image(ref)
    assert Media(str(tmp_path), limits=Limits(max_frames=6)).image(ref).size == (8, 8)


def test_images_are_reduced_as_far_as_the_codec_allows_and_no_further(tmp_path: Path) -> None:
    ref = save(tmp_path, make_image(1600, 1200))
    assert Media(str(tmp_path)).image(ref).size == (1600, 1200)
    assert Media(str(tmp_path), side=150).image(ref).size == (200, 150)
    assert Media(str(tmp_path), side=151).image(ref).size == (400, 300)


def test_steps_of_a_pass_share_one_decode_until_the_batch_is_done(tmp_path: Path) -> None:
    ref = save(tmp_path, make_image())
    media = Media(str(tmp_path))
    first = media.image(ref)
    (tmp_path / "a.jpg").unlink()
    assert media.image(ref) is first
    media.forget()
    with pytest.raises(MediaError):
        media.image(ref)


def test_a_truncated_image_is_an_error_at_every_call(tmp_path: Path) -> None:
    data = make_image(200, 200)
    ref = save(tmp_path, data[: len(data) // 2])
    media = Media(str(tmp_path))
    for _ in range(2):
        with pytest.raises(MediaError, match=r"OSError: image file is truncated"):
            media.image(ref)


def test_transparent_images_get_a_white_background(tmp_path: Path) -> None:
    clear = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    ref = save(tmp_path, encode(clear, "PNG"), "a.png")
    assert np.asarray(Media(str(tmp_path)).image(ref)).tolist() == [[[255, 255, 255]] * 4] * 4


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "I;16", "LA", "RGBA"])
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    image = Image.new(mode, (9, 7))
    kind = "JPEG" if mode == "CMYK" else "PNG"
    found = Media(str(tmp_path)).image(save(tmp_path, encode(image, kind)))
    assert (found.mode, found.size) == ("RGB", (9, 7))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
def test_the_orientation_of_a_file_is_that_of_its_decoded_image(tmp_path: Path, kind: str) -> None:
    """A TIFF is decoded upright, so its orientation is 1."""
    for number in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = number
        ref = save(tmp_path, encode(Image.new("RGB", (60, 40)), kind, exif=exif), f"{number}")
        media = Media(str(tmp_path))
        shown = 1 if kind == "TIFF" else number
        assert (media.orientation(ref), media.decoded(ref).orientation) == (shown, shown)


def test_the_extent_is_the_exact_size_of_a_reduced_image(tmp_path: Path) -> None:
    ref = save(tmp_path, make_image(257, 259))
    reduced, full = Media(str(tmp_path), side=32).decoded(ref), Media(str(tmp_path)).decoded(ref)
    assert (reduced.image.size, reduced.extent) == ((33, 33), (32.125, 32.375))
    assert (full.image.size, full.extent) == ((257, 259), (257, 259))


def test_a_message_has_no_memory_address_and_no_folder_of_the_machine(tmp_path: Path) -> None:
    header_alone = encode(Image.new("RGB", (60, 40)), "PNG")[:30]
    ref = save(tmp_path, header_alone, "cut.png")
    with pytest.raises(MediaError) as caught:
        Media(str(tmp_path)).image(ref)
    assert caught.value.fault == "the 30 bytes of the file are not an image of a known format"
    assert "0x" not in str(MediaError(f"broken: {io.BytesIO()!r}"))
    error = PermissionError(13, "Permission denied", str(tmp_path / "x.jpg"))
    assert foreign_message(error) == "[Errno 13] Permission denied: 'x.jpg'"


def test_a_decoder_prints_nothing_and_its_cause_is_in_the_message(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)
    data = bytearray(encode(Image.fromarray(noise), "TIFF", compression="tiff_adobe_deflate"))
    data[300:320] = bytes(20)
    ref = save(tmp_path, bytes(data), "a.tif")
    with pytest.raises(MediaError, match="ZIPDecode"):
        Media(str(tmp_path)).image(ref)
    assert capfd.readouterr() == ("", "")


def test_an_image_that_is_a_fifo_is_refused_and_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    media = Media(str(tmp_path))
    for read in (media.header, media.read, media.image):
        with pytest.raises(MediaError, match="not to a regular file"):
            read(Reference("pipe.jpg"))


def test_images_beyond_the_bytes_of_a_batch_are_decoded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "ab":
        (tmp_path / name).write_bytes(make_image(20, 20))
    monkeypatch.setattr(module, "CACHED_BYTES", 4 * 20 * 20)
    media = Media(str(tmp_path))
    first, second = Reference("a"), Reference("b")
    assert media.image(first) is media.image(first)
    assert media.image(second) is not media.image(second)
    media.forget()
    assert media.image(second) is media.image(second)


def test_too_little_memory_is_no_fault_of_the_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiff = encode(Image.new("RGB", (8, 8)), "TIFF")
    ref = save(tmp_path, tiff, "a.tif")

    def no_memory(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Image, "open", no_memory)
    with pytest.raises(MemoryError):
        Media(str(tmp_path)).image(ref)
    with pytest.raises(MemoryError):
        probe(tiff)
    with pytest.raises(MemoryError):
        orientation(b"Exif" + tiff)
