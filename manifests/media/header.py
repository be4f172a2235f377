"""Reads the header of an image: its format, width and height, from its first bytes and without
decoding."""

from __future__ import annotations

import io
import struct
import warnings
from typing import TYPE_CHECKING, NamedTuple

from manifests.errors import MediaError, foreign_message, is_of_environment
from manifests.media.decoder_output import decoder_output

if TYPE_CHECKING:
    from PIL.Image import Image

Bytes = bytes | memoryview


class Header(NamedTuple):
    """The MIME type and the size of an image. The size is in stored pixels, before Exif
    orientation."""

    mime: str
    width: int
    height: int


PILLOW_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "AVIF", "JPEG2000", "PPM")
"""The formats that Pillow may open: raster images whose decoders do not start another program."""

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
SUFFIXES = frozenset(
    [*EXTENSIONS.values(), "jpeg", "jpe", "jfif", "apng", "tiff", "j2k", "ppm", "pgm", "pbm"]
)
"""Endings of the names of image files, in lower case, without a dot."""

FIRST_BYTES = 1 << 16
"""Number of bytes at the start of a file that contain the header of almost every image (our
choice)."""
SHORT_BYTES = 1 << 10
"""Number of bytes at the start of a file that contain the header of most images (our choice,
measured: a read of 64 KiB takes 20 times as long)."""
_MAX_BLOCKS = 1 << 18
"""Limit on the blocks and stray bytes that are read to find the image size (our choice). Real files
have a few dozen. Malicious files have millions, to make the reader slow."""

_u32_pair_big = struct.Struct(">II").unpack_from
_jpeg_frame = struct.Struct(">BHHB").unpack_from
_gif_screen = struct.Struct("<HHB").unpack_from
_gif_frame = struct.Struct("<HHHH").unpack_from


def probe(data: Bytes) -> Header:
    """Returns the header of an image, from all of its bytes or from enough bytes at its start.

    The size is the same as in Pillow: for a GIF, the size of the screen, enlarged to contain the
    first frame; for a JPEG that states several sizes, the last size before the pixels. Raises
    MediaError if the bytes are not an image, end before the size, or state no valid size, and for a
    JPEG of a kind that decoders do not support.
    """
    view = memoryview(data)
    if view.format != "B":  # an Arrow buffer is a view of signed bytes
        view = view.cast("B")
    magic = bytes(view[:16])
    try:
        if magic[:3] == b"\xff\xd8\xff":
            header = _jpeg(view)
        elif magic[:8] == b"\x89PNG\r\n\x1a\n":
            header = _png(view)
        elif magic[:4] == b"RIFF" and magic[8:12] == b"WEBP":
            header = _webp(view)
        elif magic[:6] in (b"GIF87a", b"GIF89a"):
            header = _gif(view)
        else:
            header = _other(view)
    except (struct.error, IndexError):
        raise MediaError(
            f"the image is truncated: its {len(view)} bytes end before its width and height."
        ) from None
    if header.width < 1 or header.height < 1:
        raise MediaError(
            f"the image's header is broken: it states {header.width} x {header.height} pixels."
        )
    return header


_ORIENTATION = 0x0112
_ORIENTATION_MARKS = (
    *(b"Exif", b"eXIf", b"EXIF"),  # in JPEG, PNG, WebP
    *(b"irot", b"imir"),  # in AVIF
    b"tiff:Orientation",  # in XMP
)
"""An image with an orientation has at least one of these marks in its first bytes."""


def orientation(data: bytes) -> int:
    """Returns the Exif orientation, 1 (displayed as stored) to 8, from the first bytes of an image.

    The result is 1 if the orientation is missing or broken, and for every TIFF, because decoders
    apply the orientation of a TIFF themselves.
    """
    from PIL import Image

    if not any(mark in data for mark in _ORIENTATION_MARKS):
        return 1
    try:
        with (
            warnings.catch_warnings(action="ignore"),
            Image.open(io.BytesIO(data), formats=PILLOW_FORMATS) as image,
        ):
            return exif_orientation(image)
    except Exception as error:  # on broken bytes Pillow raises errors of many types
        if is_of_environment(error):
            raise
        return 1


def exif_orientation(image: Image) -> int:
    """Returns the Exif orientation of an image that Pillow has opened, as `orientation` does for
    the bytes of an image."""
    if image.format == "TIFF":
        return 1
    try:
        with warnings.catch_warnings(action="ignore"):
            value = image.getexif().get(_ORIENTATION)
    except Exception as error:  # on a broken block Pillow raises errors of many types
        if is_of_environment(error):
            raise
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def is_image(data: Bytes) -> bool:
    """Returns whether data is an image of a supported format. Only the first 16 bytes are
    checked."""
    start = bytes(memoryview(data)[:16])
    return (
        start.startswith(_MAGICS)
        or (start[:4] == b"RIFF" and start[8:12] == b"WEBP")
        or (start[:2] == b"BM" and start[6:10] == b"\0\0\0\0")
        or start[4:12] in (b"ftypavif", b"ftypavis")
        or (start[:1] == b"P" and start[1:2] in b"123456" and start[2:3].isspace())
    )


def is_tiff(data: Bytes) -> bool:
    return bytes(memoryview(data)[:4]) in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


_MAGICS = (
    *(b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*"),
    *(b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n"),
)


_SEGMENT, _FRAME, _NO_DATA, _SCAN, _FILL, _UNKNOWN = range(6)


def _jpeg_marker_kinds() -> bytes:
    """Returns 256 bytes: byte i is the kind of data that follows the JPEG marker whose second byte
    is i (T.81, table B.1, as in Pillow)."""
    kinds = bytearray([_SEGMENT]) * 256
    kinds[:0xC0] = bytes([_UNKNOWN]) * 0xC0
    for marker in (0x00, 0x01, 0xC8, *range(0xD0, 0xDA), *range(0xF0, 0xFE)):
        kinds[marker] = _NO_DATA
    for marker in set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}:
        kinds[marker] = _FRAME
    kinds[0xDA], kinds[0xFF] = _SCAN, _FILL
    return bytes(kinds)


_MARKER_KINDS = _jpeg_marker_kinds()


def _jpeg(view: memoryview) -> Header:
    """Returns the header of a JPEG. Reads markers up to the start of scan. Skips stray bytes
    between markers, as libjpeg does."""
    width, height, at = 0, 0, 2
    for _ in range(_MAX_BLOCKS):
        marker = view[at + 1]
        kind = _MARKER_KINDS[marker] if view[at] == 0xFF else _FILL
        if kind == _SEGMENT:
            at += 2 + (view[at + 2] << 8 | view[at + 3])
        elif kind == _FRAME:
            width, height = _frame(view, at + 4)
            at += 2 + (view[at + 2] << 8 | view[at + 3])
        elif kind == _SCAN:
            return Header("image/jpeg", width, height)
        elif kind == _UNKNOWN:
            raise MediaError(f"the JPEG is broken: 0xff{marker:02x} is not a marker of JPEG.")
        else:
            at += 1 + (kind == _NO_DATA)
    raise MediaError(f"the JPEG is broken: its first {at} bytes state no width and height.")


def _frame(view: memoryview, at: int) -> tuple[int, int]:
    bits, height, width, components = _jpeg_frame(view, at)
    if bits != 8 or components not in (1, 3, 4):
        raise MediaError(
            f"the JPEG is of an unsupported kind: {components} components of {bits} bits."
        )
    return width, height


def _png(view: memoryview) -> Header:
    width, height = _u32_pair_big(view, 16)
    kind = bytes(view[12:16])
    if kind != b"IHDR":
        raise MediaError(f"the PNG is broken: its first chunk is {kind!r}, not IHDR.")
    return Header("image/png", width, height)


def _webp(view: memoryview) -> Header:
    kind = bytes(view[12:16])
    if kind == b"VP8X":
        width, height = _u24(view, 24) + 1, _u24(view, 27) + 1
    elif kind == b"VP8L":
        bits = _u24(view, 21) | view[24] << 24
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 ":
        width, height = _u24(view, 26) & 0x3FFF, _u24(view, 28) & 0x3FFF
    elif len(kind) < 4:
        raise IndexError
    else:
        raise MediaError(f"the WebP is broken: its first chunk is {kind!r}, not VP8, VP8L or VP8X.")
    return Header("image/webp", width, height)


def _u24(view: memoryview, at: int) -> int:
    return view[at] | view[at + 1] << 8 | view[at + 2] << 16


def _gif(view: memoryview) -> Header:
    """Returns the header of a GIF. The size is that of the GIF's logical screen, enlarged to
    contain the first frame, as decoders do."""
    width, height, flags = _gif_screen(view, 6)
    at = 13 + _palette_bytes(flags)
    for _ in range(_MAX_BLOCKS):
        block = view[at]
        if block == 0x2C:
            left, top, wide, high = _gif_frame(view, at + 1)
            return Header("image/gif", max(width, left + wide), max(height, top + high))
        if block == 0x3B:
            raise MediaError("the GIF is broken: it ends before its first frame.")
        at = _after_blocks(view, at + 2) if block == 0x21 else at + 1
    raise MediaError(f"the GIF is broken: its first {at} bytes have no frame.")


def _palette_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 128 else 0


def _after_blocks(view: memoryview, at: int) -> int:
    """Returns the offset after a series of sub-blocks of a GIF, given the offset `at` of its first
    sub-block. Each sub-block starts with its length."""
    for _ in range(_MAX_BLOCKS):
        if not view[at]:
            return at + 1
        at += 1 + view[at]
    raise MediaError(
        f"the GIF is broken: an extension block has no end within its first {at} bytes."
    )


def _other(view: memoryview) -> Header:
    """Returns the header of an image of any other format. Pillow reads the header, without decoding
    pixels."""
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None  # the caller applies its own limit
    try:
        with (
            decoder_output(prints=is_tiff(view)),  # about broken tags, which are not needed
            Image.open(io.BytesIO(view), formats=PILLOW_FORMATS) as image,
        ):
            mime = image.get_format_mimetype() or f"image/{str(image.format).lower()}"
            return Header(mime, image.width, image.height)
    except Exception as error:  # on broken bytes Pillow raises errors of many types
        if is_of_environment(error):
            raise
        raise MediaError(f"{_fault(view)}: {_reason(view, error)}.") from None


def _fault(view: memoryview) -> str:
    if is_image(view):  # some TIFFs are intact, but of a kind that Pillow cannot open
        return "the file begins as an image does, but Pillow cannot open it"
    return "the file is not an image"


def _reason(view: memoryview, error: Exception) -> str:
    if not len(view):
        return "it has no bytes"
    if "cannot identify" in str(error):
        return f"it starts with {bytes(view[:8])!r}"
    return f"{type(error).__name__}: {foreign_message(error)}"
