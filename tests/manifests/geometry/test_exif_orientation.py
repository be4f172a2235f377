"""Coordinates under Exif's orientation follow the pixels, as Pillow transposes them."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from manifests.geometry.exif_orientation import (
    boxes_as_shown,
    boxes_as_stored,
    points_as_shown,
    points_as_stored,
)
from manifests.media.header import orientation
from tests.make import make_image

WIDTH, HEIGHT = 40, 30


def turned(number: int) -> bytes:
    """A black image with one white pixel, and an orientation."""
    pixels = np.zeros((HEIGHT, WIDTH), np.uint8)
    pixels[5, 9] = 255
    image, exif, out = Image.fromarray(pixels), Image.Exif(), io.BytesIO()
    exif[0x0112] = number
    image.save(out, "PNG", exif=exif)
    return out.getvalue()


@pytest.mark.parametrize("number", range(1, 9))
def test_a_point_is_where_pillow_shows_it(number: int) -> None:
    data = turned(number)
    assert orientation(data) == number
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    row, column = np.argwhere(np.asarray(image) == 255)[0]
    place = np.array([[9.5 / WIDTH, 5.5 / HEIGHT]]) * 1000
    expected = [1000 * (column + 0.5) / image.width, 1000 * (row + 0.5) / image.height]
    assert points_as_shown(place, np.array([number]))[0] == pytest.approx(expected)


@pytest.mark.parametrize("number", range(1, 9))
def test_as_shown_and_as_stored_are_inverse(number: int) -> None:
    random = np.random.default_rng(number)
    boxes = np.sort(random.uniform(0, 1000, (50, 2, 2)), axis=1).transpose(0, 1, 2).reshape(-1, 4)
    numbers = np.full(50, number)
    there = boxes_as_shown(boxes, numbers)
    assert (there[:, :2] <= there[:, 2:]).all()
    assert boxes_as_stored(there, numbers) == pytest.approx(boxes)
    assert points_as_stored(points_as_shown(boxes[:, :2], numbers), numbers) == pytest.approx(
        boxes[:, :2]
    )
    area = [(b[:, 2:] - b[:, :2]).prod(axis=1) for b in (boxes, there)]
    assert area[0] == pytest.approx(area[1])


def test_an_inverted_box_stays_inverted() -> None:
    inverted = np.array([[500.0, 500.0, 100.0, 700.0]])
    for number in range(1, 9):
        found = boxes_as_shown(inverted, np.array([number]))[0]
        assert found[0] > found[2] or found[1] > found[3]


def test_images_without_exif_or_with_a_broken_block_have_orientation_1() -> None:
    plain = make_image()
    broken = plain[:2] + b"\xff\xe1\x00\x10Exif\0\0II*\0\xff\xff\xff\xff" + plain[2:]
    assert [orientation(data) for data in (plain, broken, b"", turned(6)[:40])] == [1, 1, 1, 1]
