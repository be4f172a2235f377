"""Images that tests draw, and their perceptual hashes."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

from filters.image.image_hash import ImageHash
from filters.image.perceptual.phash import SIDE
from manifests.media import Media
from tests.filters.rows import answers, media_records

NEAR, FAR = 6, 14


def drawing(seed: int, width: int = 400, height: int = 300) -> Image.Image:
    """Smooth random colours, with detail at several sizes."""
    draw = np.random.default_rng(seed)
    whole = np.zeros((height, width, 3))
    for cells in (3, 6, 12):
        coarse = Image.fromarray(draw.integers(0, 256, (cells, cells, 3), np.uint8))
        whole += np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)) / cells
    return Image.fromarray((255 * whole / whole.max()).astype(np.uint8))


def encoded(image: Image.Image, kind: str = "JPEG", **way: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **way)
    return out.getvalue()


class ListedMedia(Media):
    """Media whose bytes are in a list; a uri is the number in it."""

    def __init__(self, files: list[bytes], side: int | None = SIDE) -> None:
        super().__init__(side=side)
        self._files_at_hand = files

    def read(self, ref: Any) -> bytes:
        return self._files_at_hand[int(ref.uri)]


def hashed(*files: bytes, side: int | None = SIDE) -> tuple[list[int | None], list[int | None]]:
    """The hashes of files, and of their mirror images; no file may be an error."""
    batch = media_records(*([{"kind": "image", "uri": str(n)}] for n in range(len(files))))
    answer = answers(ImageHash(), batch, ListedMedia(list(files), side))
    assert answer["error"] == [None] * len(files)
    return [one for (one,) in answer["hash"]], [one for (one,) in answer["mirror"]]


def apart(one: int | None, other: int | None) -> int:
    assert one is not None
    assert other is not None
    return (one ^ other).bit_count()


TURNED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How an image is stored so that each orientation shows it upright."""


def stored(image: Image.Image, number: int, kind: str, **way: Any) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = number
    turn = TURNED[number]
    return encoded(image.transpose(turn) if turn is not None else image, kind, exif=exif, **way)
