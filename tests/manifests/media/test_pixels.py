"""Pixels of every mode are 8-bit RGB, as an image viewer shows them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from manifests.media import Media, Reference, pixels

DRAW = np.random.default_rng(1)
GRAY = DRAW.integers(0, 256, (20, 30)).astype(np.uint8)
GRAY[0, :2] = 0, 255
WIDE = GRAY.astype(np.uint16) * 257


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def shown(data: bytes, folder: Path) -> np.ndarray:
    (folder / "image").write_bytes(data)
    return np.asarray(Media(str(folder)).image(Reference("image")))


def tiff(values: np.ndarray, **tags: int) -> bytes:
    info = TiffImagePlugin.ImageFileDirectory_v2()
    for number, value in tags.items():
        info[int(number.removeprefix("tag_"))] = value
    return encoded(Image.fromarray(values), "TIFF", tiffinfo=info)


def portable_graymap(values: np.ndarray, maximum: int) -> bytes:
    return b"P5 30 20 %d\n" % maximum + values.astype(">u2").tobytes()


@pytest.mark.parametrize(
    "data",
    [
        encoded(Image.fromarray(WIDE), "PNG"),
        encoded(Image.fromarray(WIDE), "JPEG2000"),
        tiff(WIDE),
        tiff(WIDE.astype(">u2")),
        tiff(65535 - WIDE, tag_262=0),
        portable_graymap(WIDE, 65535),
        portable_graymap(GRAY.astype(np.uint16) * 4, 1020),
        tiff(WIDE.astype(np.int32)),
        tiff(GRAY.astype(np.float32) / 255),
        tiff(GRAY.astype(np.float32) * 7 - 300),
    ],
    ids=[
        *("PNG", "JPEG 2000", "TIFF", "TIFF big-endian", "TIFF, white is zero", "PGM"),
        *("PGM with its own maximum", "TIFF of 32 bits", "floats of 0 to 1", "other floats"),
    ],
)
def test_gray_of_more_than_8_bits_has_the_pixels_of_its_8_bit_original(
    data: bytes, tmp_path: Path
) -> None:
    expected = np.repeat(GRAY[:, :, None], 3, axis=2)
    assert np.array_equal(shown(data, tmp_path), expected)


def test_a_dark_16_bit_image_stays_dark(tmp_path: Path) -> None:
    data = encoded(Image.fromarray(np.array([[0, 257, 514]], np.uint16)), "PNG")
    assert shown(data, tmp_path)[0, :, 0].tolist() == [0, 1, 2]


def test_floats_that_are_no_numbers_are_black(tmp_path: Path) -> None:
    values = np.array([[np.nan, np.inf, 0.25, 1.0]], np.float32)
    assert shown(tiff(values), tmp_path)[0, :, 0].tolist() == [0, 0, 64, 255]


def test_a_plain_float_image_is_plain(tmp_path: Path) -> None:
    assert np.ptp(shown(tiff(np.full((4, 5), 7, np.float32)), tmp_path)) == 0


def test_a_large_16_bit_image_is_scaled_block_by_block(tmp_path: Path) -> None:
    rows = np.arange(1200, dtype=np.uint16)[:, None] % 256 * 257
    values = np.broadcast_to(rows, (1200, 1000))
    data = encoded(Image.fromarray(np.ascontiguousarray(values)), "PNG")
    assert np.array_equal(shown(data, tmp_path)[:, 0, 0], np.arange(1200) % 256)


def palette(index: int) -> Image.Image:
    image = Image.new("P", (4, 4), index)
    image.putpalette(list(range(24)))
    return image


CLEAR = (20, 30, 40, 0)


@pytest.mark.parametrize(
    ("image", "kind", "options", "pixel"),
    [
        (Image.new("RGBA", (4, 4), CLEAR), "PNG", {}, (255, 255, 255)),
        (Image.new("RGBA", (4, 4), (0, 0, 0, 128)), "PNG", {}, (127, 127, 127)),
        (Image.new("LA", (4, 4), (0, 0)), "PNG", {}, (255, 255, 255)),
        (palette(3), "PNG", {"transparency": 3}, (255, 255, 255)),
        (palette(3), "GIF", {"transparency": 3}, (255, 255, 255)),
        (Image.new("L", (4, 4), 9), "PNG", {"transparency": 9}, (255, 255, 255)),
        (Image.new("I;16", (4, 4), 900), "PNG", {"transparency": 900}, (255, 255, 255)),
        (Image.new("I;16", (4, 4), 2570), "PNG", {"transparency": 900}, (10, 10, 10)),
        (Image.new("1", (4, 4), 1), "PNG", {}, (255, 255, 255)),
        (Image.new("1", (4, 4), 0), "TIFF", {"compression": "group4"}, (0, 0, 0)),
        (Image.new("CMYK", (4, 4), (255, 0, 0, 0)), "TIFF", {}, (0, 255, 255)),
        (Image.new("CMYK", (8, 8), (0, 0, 0, 255)), "JPEG", {}, (0, 0, 0)),
        (Image.new("LA", (4, 4), (0, 0)), "TIFF", {"tiffinfo": {338: 1}}, (255, 255, 255)),
    ],
)  # fmt: skip
def test_transparent_pixels_are_shown_on_white_and_other_modes_as_in_a_viewer(
    image: Image.Image, kind: str, options: dict, pixel: tuple[int, ...], tmp_path: Path
) -> None:
    found = shown(encoded(image, kind, **options), tmp_path)
    assert tuple(found[1, 1].tolist()) == pixel


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "P", "RGB", "L"])
def test_transparent_pixels_are_shown_on_white_block_by_block(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = np.random.default_rng(3).integers(0, 255, (41, 30, 4), np.uint8)
    image = Image.fromarray(noise).convert("RGB" if mode in ("RGB", "L", "P") else "RGBA")
    image = image.quantize(9) if mode in ("P", "PA") else image.convert(mode)
    image = image.convert(mode)
    if mode in ("P", "RGB", "L"):
        image.info["transparency"] = image.getpixel((2, 2))
    whole = np.asarray(pixels.rgb(image))
    monkeypatch.setattr(pixels, "_BLOCK_PIXELS", 100)
    assert (np.asarray(pixels.rgb(image)) == whole).all()
    background = Image.new("RGBA", image.size, "white")
    due = Image.alpha_composite(background, image.convert("RGBA")).convert("RGB")
    assert (whole == np.asarray(due)).all()
