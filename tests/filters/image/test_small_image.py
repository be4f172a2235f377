"""Small squares of luma and of colours, from which hashes are computed."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from filters.image.perceptual import small_image as small_images
from filters.image.perceptual.phash import SIDE
from filters.image.perceptual.small_image import small_image
from manifests.geometry.exif_orientation import pixels_as_shown
from manifests.media import Decoded, Reference
from tests.filters.image.hashing import TURNED, ListedMedia, drawing, encoded, stored


def test_pixels_are_turned_upright_as_pillow_turns_them() -> None:
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    for number in TURNED:
        image = Image.fromarray(pixels)
        image.info["exif"] = Image.open(io.BytesIO(stored(image, number, "JPEG"))).info["exif"]
        shown = np.asarray(ImageOps.exif_transpose(image))
        assert pixels_as_shown(pixels, number).tolist() == shown.tolist()


def luma_of(file: bytes, side: int) -> np.ndarray:
    return small_image(ListedMedia([file], side).decoded(Reference("0")), side).luma


def test_luma_has_the_side_that_is_asked_for() -> None:
    image, gray = drawing(1, 300, 400), drawing(1, 300, 400).convert("L")
    for side in (8, 16, 48):
        expected = np.asarray(gray.resize((side, side), Image.Resampling.BILINEAR)).astype(int)
        for file in (encoded(image), encoded(image, "PNG"), encoded(gray)):
            pixels = luma_of(file, side)
            assert pixels.shape == (side, side)
            assert np.abs(pixels.astype(int) - expected).mean() < 2


def test_a_jpeg_reduced_to_no_whole_pixels_is_not_stretched() -> None:
    image = drawing(1, 257, 259)
    pixels = luma_of(encoded(image, quality=98), SIDE).astype(int)
    expected = np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    assert np.abs(pixels - expected).mean() < 1


def test_an_image_in_several_pieces_of_memory_has_the_same_luma() -> None:
    large = drawing(1, 2400, 1800)  # Pillow stores more than 16 MB in pieces
    decoded = Decoded(large, large.size, 1)
    expected = np.asarray(large.reduce((50, 37)).convert("L").resize((SIDE, SIDE))).astype(int)
    assert np.abs(small_image(decoded, SIDE).luma.astype(int) - expected).mean() < 2


@pytest.mark.parametrize(("width", "height"), [(700, 500), (333, 1000), (999, 301)])
def test_a_large_image_is_reduced_in_strips_as_it_is_in_one_piece(
    width: int, height: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    decoded = Decoded(Image.fromarray(noise), (width, height), 1)
    whole = small_image(decoded, 32)
    monkeypatch.setattr(small_images, "_COPIED_PIXELS", 5000)
    strips = small_image(decoded, 32)
    assert (strips.luma == whole.luma).all()
    assert (strips.colours == whole.colours).all()
