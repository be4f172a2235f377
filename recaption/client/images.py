"""Prepares images for a model: upright, with a limited number of pixels, and encoded."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, NamedTuple

from manifests.errors import MediaError
from manifests.geometry.shown_sizes import TRANSPOSED
from manifests.media import Media, Reference
from manifests.media.header import Header, orientation, probe

if TYPE_CHECKING:
    from PIL.Image import Image

ENCODING = 3
"""A part of the key of a reply. Raise it if a change of the code sends other bytes for the same
image."""
_SENT_AS_THEY_ARE = ("image/jpeg", "image/png", "image/webp")
"""Formats that every endpoint reads, so that their files can be sent unchanged."""
_MAX_BYTES = 4 << 20
"""A file with more bytes is encoded again, even if it has few enough pixels (our choice)."""
_QUALITY = 90
"""JPEG quality of an image that is encoded again (our choice)."""
_MAX_SIDE = 65_500
"""The longest side in pixels that libjpeg encodes (published: JPEG_MAX_DIMENSION of jmorecfg.h)."""


class SentImage(NamedTuple):
    """The content of an image file as it is sent to a model, and its MIME type."""

    mime: str
    data: bytes


def sent_image(data: bytes, ref: Reference, media: Media, max_pixels: int) -> SentImage:
    """Returns the image in the file `data` for a request, resized to at most `max_pixels` pixels.
    Raises MediaError if the image cannot be decoded, or a side is too long to be encoded.

    A file that is small enough is sent unchanged, unless endpoints would show it differently: some
    apply the orientation of Exif, some drop transparency, and some reduce 16 bits to 8.
    """
    header = probe(data)
    media.check(header, ref.place)
    if _fits(header, data, max_pixels) and media.decode(data, ref, side=1).is_plain:
        return SentImage(header.mime, data)
    size = sent_size(*upright_size(data), max_pixels)
    if max(size) > _MAX_SIDE:
        fault = f"{size[0]} x {size[1]} pixels cannot be sent: a side is longer than {_MAX_SIDE}"
        raise MediaError(fault, ref.place, "Leave the file in quarantine.")
    image = media.decode(data, ref, min(size)).upright()
    return SentImage("image/jpeg", _encoded(image, size))


def upright_size(data: bytes) -> tuple[int, int]:
    """Returns the width and height of an image after it is turned as its Exif data states. Raises
    MediaError if the header is broken."""
    header = probe(data)
    is_turned = orientation(data) in TRANSPOSED
    return (header.height, header.width) if is_turned else (header.width, header.height)


def _fits(header: Header, data: bytes, max_pixels: int) -> bool:
    is_small = header.width * header.height <= max_pixels and len(data) <= _MAX_BYTES
    return is_small and header.mime in _SENT_AS_THEY_ARE and orientation(data) == 1


def sent_size(width: int, height: int, max_pixels: int) -> tuple[int, int]:
    """Returns the width and height that an image has when it is sent, at most `max_pixels` in all.

    `sent_size(2000, 1000, 500_000) -> (1000, 500)`
    """
    scale = min(1.0, math.sqrt(max_pixels / (width * height)))
    return max(1, int(width * scale)), max(1, int(height * scale))


def _encoded(image: Image, size: tuple[int, int]) -> bytes:
    from PIL.Image import Resampling

    if size != image.size:
        image = image.resize(size, Resampling.LANCZOS)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=_QUALITY)
    return out.getvalue()
