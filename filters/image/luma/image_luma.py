"""Images as a few pixels of luma, upright: what a look at the whole of them needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.image.luma.exif_orientation import orientation, upright
from filters.image.luma.jpeg_scans import BLOCK, Jpeg, jpeg_scans
from manifests.errors import MediaError
from manifests.media import Media, Reference
from manifests.media.header import probe

if TYPE_CHECKING:
    from PIL.Image import Image

_LEAST_PIXELS = 6
"""Of a JPEG's shorter side for each pixel wanted, for its block means to suffice (ours: on average
of 144 photographs, pHashes by means and by pixels differ in 0.8 bits where that side is 256, in 1.2
where it is 200, and in 2.4 where it is 128)."""
_GROUP_BYTES = 1 << 19
"""Of JPEGs taken at once: more than one, so that they are walked in turn, and little memory."""


class Lumas(NamedTuple):
    """`pixels`: uint8 (images, side, side), 0 where there is an error; `errors`: what it is."""

    pixels: np.ndarray
    errors: list[str | None]


class _Means(NamedTuple):
    """A JPEG whose block means suffice."""

    place: int
    reference: Reference
    data: bytes
    jpeg: Jpeg


def small_lumas(images: pa.Array, side: int, media: Media) -> Lumas:
    """The luma of each image, stretched to side x side; `images` are structs of media.

    Most JPEGs are not decoded: the means of their blocks, libjpeg's luma at 1/8 of the size, are
    enough, and found in a fraction of the time. What is no usual JPEG, or broken, is decoded; so
    whether there is an error, and which, is for the decoder to say.
    """
    found = Lumas(np.zeros((len(images), side, side), np.uint8), [None] * len(images))
    group: list[_Means] = []
    size = 0
    # One image at a time: each is one file, and reading it costs far more than the loop.
    for place, reference, mime in _images(images):
        try:
            data = media.read(reference) if mime in (None, "image/jpeg") else b""
            jpeg = jpeg_scans(data)
        except MediaError as error:
            found.errors[place] = str(error)
            continue
        if jpeg is None or not _suffices(jpeg, side, media):
            _decode(place, reference, data, media, found)
            continue
        group.append(_Means(place, reference, data, jpeg))
        size += len(data)
        if len(group) > 1 and size >= _GROUP_BYTES:
            _take_means(group, media, found)
            group, size = [], 0
    _take_means(group, media, found)
    return found


def _images(images: pa.Array) -> Iterator[tuple[int, Reference, str | None]]:
    columns = [pc.struct_field(images, name).to_pylist() for name in (*Reference._fields, "mime")]
    for place, (*fields, mime) in enumerate(zip(*columns, strict=True)):
        yield place, Reference(*fields), mime


def _suffices(jpeg: Jpeg, side: int, media: Media) -> bool:
    large = min(jpeg.width, jpeg.height) >= _LEAST_PIXELS * side
    return large and jpeg.width * jpeg.height <= media.limits.max_pixels


def _take_means(group: list[_Means], media: Media, found: Lumas) -> None:
    if not group:
        return
    from PIL import Image

    from manifests.kernels.jpeg_means import luma_means

    lumas = luma_means([m.data for m in group], [m.jpeg for m in group])
    for (place, reference, data, jpeg), luma in zip(group, lumas, strict=True):
        if luma is None:
            _decode(place, reference, data, media, found)
            continue
        rows, columns = luma.shape
        whole = Image.frombuffer("L", (columns, rows), luma, "raw", "L", 0, 1)
        found.pixels[place] = _small(
            whole, (jpeg.width / BLOCK, jpeg.height / BLOCK), jpeg.exif, found.pixels.shape[1]
        )


def _decode(place: int, reference: Reference, data: bytes, media: Media, found: Lumas) -> None:
    """The luma of an image through its codec; `data` are its bytes if it may be a JPEG."""
    try:
        image = media.image(reference)
        size = _reduced_size(image, data)
    except MediaError as error:
        found.errors[place] = str(error)
        return
    exif = image.info.get("exif", b"")
    found.pixels[place] = _small(image.convert("L"), size, exif, found.pixels.shape[1])


def _reduced_size(image: Image, data: bytes) -> tuple[float, float]:
    """Columns and rows of an image: parts of one where a JPEG was reduced to no whole number."""
    if not data.startswith(b"\xff\xd8\xff"):
        return image.size
    header = probe(data)
    for scale in (1, 2, 4, 8):
        width, height = header.width / scale, header.height / scale
        if (-(-header.width // scale), -(-header.height // scale)) == image.size:
            return width, height
    return image.size


def _small(luma: Image, size: tuple[float, float], exif: bytes, side: int) -> np.ndarray:
    from PIL import Image

    small = luma.resize((side, side), Image.Resampling.BILINEAR, box=(0, 0, *size))
    pixels = np.frombuffer(small.tobytes(), np.uint8).reshape(side, side)
    return upright(pixels, orientation(exif)) if exif else pixels
