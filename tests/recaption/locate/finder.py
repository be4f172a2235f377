"""A server that looks for coloured rectangles in the images that it gets, and images of such."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from tests.recaption.endpoint import Answer, Asked, reply

COLOURS = {"red": (220, 20, 20), "green": (20, 200, 20), "blue": (20, 20, 220)}
Box = tuple[float, ...]


def drawn(
    boxes: dict[str, Box], size: tuple[int, int] = (320, 240), orientation: int = 1, **save: Any
) -> bytes:
    """A JPEG of grey with a rectangle at each box, in pixels of the image as it is shown. It is
    stored in the given Exif orientation."""
    image = Image.new("RGB", size, (128, 128, 128))
    for colour, (x1, y1, x2, y2) in boxes.items():
        ImageDraw.Draw(image).rectangle((x1, y1, x2 - 1, y2 - 1), COLOURS[colour])
    exif = Image.Exif()
    exif[0x0112] = {6: 8, 8: 6}.get(orientation, orientation)  # the inverse turn
    out = io.BytesIO()
    image.save(out, "PNG", exif=exif)
    stored = ImageOps.exif_transpose(Image.open(out))
    exif[0x0112] = orientation
    out = io.BytesIO()
    stored.save(out, "JPEG", quality=95, subsampling=0, exif=exif, **save)
    return out.getvalue()


def rectangle(image: Image.Image, colour: str) -> Box | None:
    """The box of a colour in pixels of an image, whose Exif orientation is not looked at."""
    pixels = np.asarray(image.convert("RGB")).astype(int)
    near = (np.abs(pixels - COLOURS[colour]) < 60).all(axis=2)
    if near.sum() < 9:
        return None
    y, x = np.nonzero(near)
    return float(x.min()), float(y.min()), float(x.max() + 1), float(y.max() + 1)


def seen(data: bytes, colour: str) -> Box | None:
    """As `rectangle`, in thousandths of the image as an image viewer shows it."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    found = rectangle(image, colour)
    return found and tuple(1000 * n / side for n, side in zip(found, image.size * 2, strict=True))


def names(asked: Asked) -> list[str]:
    """The names that a request asks for."""
    _, _, listed = asked.text.partition("exactly as it is here): ")
    listed = listed.partition("Report")[0]
    return [json.loads(name) for name in re.findall(r'"(?:[^"\\]|\\.)*"', listed)]


Scale = Callable[[tuple[int, int]], tuple[float, float]]


def thousandths(size: tuple[int, int]) -> tuple[float, float]:
    return 1000, 1000


def pixels(size: tuple[int, int]) -> tuple[float, float]:
    return size


def located(items: list[dict[str, Any]]) -> Answer:
    return reply(f"```json\n{json.dumps(items)}\n```")


class Finder:
    """Answers with the rectangles of the colours that it is asked for, whose stored pixels it sees.
    `scale` gives the lower right corner of the image in its answers."""

    def __init__(self, scale: Scale = thousandths, points: bool = False) -> None:
        self.scale, self.points = scale, points

    def __call__(self, asked: Asked) -> Answer:
        [data] = asked.images
        image = Image.open(io.BytesIO(data))
        corner = self.scale(image.size)
        items = []
        for name in names(asked):
            box = rectangle(image, name) if name in COLOURS else None
            if box is None:
                continue
            x1, y1, x2, y2 = (
                round(n * end / side)
                for n, end, side in zip(box, corner * 2, image.size * 2, strict=True)
            )
            where: dict[str, Any] = {"bbox_2d": [x1, y1, x2, y2]}
            if self.points:
                where = {"point_2d": [(x1 + x2) / 2, (y1 + y2) / 2]}
            items.append({**where, "label": name})
        return located(items)
