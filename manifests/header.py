"""What a picture says of itself in its first bytes: format, width and height, nothing decoded."""

from __future__ import annotations

import io
import struct
from typing import NamedTuple

from manifests.errors import MediaError

Bytes = bytes | memoryview


class Header(NamedTuple):
    """Width and height are the stored pixels, before any EXIF orientation."""

    mime: str
    width: int
    height: int


PILLOW_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "AVIF", "JPEG2000", "PPM")
"""What Pillow may open: plain raster formats. Formats that start other programs stay shut."""

EXTENSIONS = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/webp": "webp",
    "image/gif": "gif",
    "image/bmp": "bmp",
    "image/tiff": "tif",
    "image/avif": "avif",
    "image/jp2": "jp2",
}
SUFFIXES = frozenset([*EXTENSIONS.values(), "jpeg", "tiff", "jpe", "jfif"])
"""File name endings, lower case, that say: this is a picture."""


def probe(data: Bytes) -> Header:
    """The header of a picture, from its first bytes (all of them, or enough).

    Raises MediaError where the bytes are no picture, or end before the size is told.
    """
    view = memoryview(data)
    magic = bytes(view[:16])
    try:
        if magic[:3] == b"\xff\xd8\xff":
            return _jpeg(view)
        if magic[:8] == b"\x89PNG\r\n\x1a\n":
            return _png(view)
        if magic[:6] in (b"GIF87a", b"GIF89a"):
            width, height = struct.unpack_from("<HH", view, 6)
            return _checked(Header("image/gif", width, height))
        if magic[:4] == b"RIFF" and magic[8:12] == b"WEBP":
            return _webp(view)
    except (struct.error, IndexError):
        raise MediaError(f"truncated: {len(view)} bytes end before the size is told") from None
    return _other(view)


def _checked(header: Header) -> Header:
    if header.width < 1 or header.height < 1:
        raise MediaError(f"broken header: {header.width} x {header.height} pixels")
    return header


_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def _jpeg(view: memoryview) -> Header:
    at = 2
    while True:
        if view[at] != 0xFF:
            raise MediaError("broken JPEG: no marker where one belongs")
        marker = view[at + 1]
        if marker == 0xFF:
            at += 1
        elif marker in _START_OF_FRAME:
            height, width = struct.unpack_from(">HH", view, at + 5)
            return _checked(Header("image/jpeg", width, height))
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:
            at += 2
        elif marker in (0xD9, 0xDA):
            raise MediaError("broken JPEG: picture data before the size")
        else:
            at += 2 + struct.unpack_from(">H", view, at + 2)[0]


def _png(view: memoryview) -> Header:
    if bytes(view[12:16]) != b"IHDR":
        if len(view) < 24:
            raise IndexError
        raise MediaError("broken PNG: no IHDR")
    width, height = struct.unpack_from(">II", view, 16)
    return _checked(Header("image/png", width, height))


def _webp(view: memoryview) -> Header:
    kind = bytes(view[12:16])
    if kind == b"VP8X":
        width = int.from_bytes(view[24:27], "little") + 1
        height = int.from_bytes(view[27:30], "little") + 1
        if len(view) < 30:
            raise IndexError
    elif kind == b"VP8L":
        bits = struct.unpack_from("<I", view, 21)[0]
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 ":
        width, height = (n & 0x3FFF for n in struct.unpack_from("<HH", view, 26))
    elif len(view) < 16:
        raise IndexError
    else:
        raise MediaError(f"broken WebP: first chunk is {kind!r}")
    return _checked(Header("image/webp", width, height))


def _other(view: memoryview) -> Header:
    """The rarer formats, through Pillow, which reads no pixel to tell the size."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(view), formats=PILLOW_FORMATS) as image:
            mime = image.get_format_mimetype() or f"image/{str(image.format).lower()}"
            return _checked(Header(mime, image.width, image.height))
    except MediaError:
        raise
    except Exception as error:  # Pillow's parsers raise whatever the bytes provoke
        raise MediaError(f"not a picture: {_why(view, error)}") from None


def _why(view: memoryview, error: Exception) -> str:
    if not len(view):
        return "no bytes"
    if "cannot identify" in str(error):
        return f"starts with {bytes(view[:8])!r}"
    return f"{type(error).__name__}: {error}"
