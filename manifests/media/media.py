"""Opens media files: reads their bytes by reference, and decodes images at the scale that steps
need.

The uri of a reference may be relative to the folder from which relative paths in the recipe start,
so records do not depend on where the data is stored. A uri `kept:NAME` is a file in the output
folder of the run. Such a file has the bytes of media that a reader copied from another format, such
as parquet, or that a step made.
"""

from __future__ import annotations

import contextlib
import io
import os
import stat
from collections import OrderedDict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from manifests import storage
from manifests.errors import (
    LimitError,
    MediaError,
    StorageError,
    foreign_message,
    is_of_environment,
)
from manifests.media.decoder_output import decoder_output
from manifests.media.header import (
    FIRST_BYTES,
    PILLOW_FORMATS,
    Header,
    exif_orientation,
    is_tiff,
    orientation,
    probe,
)
from manifests.media.limits import Limits
from manifests.media.pixels import is_plain, rgb
from manifests.media.reference import Reference
from manifests.storage.file_entry import inside

if TYPE_CHECKING:
    from PIL.Image import Image

KEPT = "kept:"
"""The prefix of the uris of media whose bytes a reader or a step stored in a file of the run."""
_FIX_BROKEN = "Put an intact image in its place, or leave it in quarantine."
_FIX_TRUNCATED = "Put the whole file in its place, or leave it in quarantine."
FIX_MISSING_FILE = "Put the file there and run again with --retry, or leave it in quarantine."
_FIX_OUTSIDE = "No run writes such a reference: make the run again from its sources."
CACHED_BYTES = 256 << 20
"""How many bytes of decoded images are kept in memory, so that all steps of a batch share them (our
choice: 128 images of 512 x 1024 pixels). Images beyond this are decoded again by each step."""
_OPEN_FILES = 64
"""How many files stay open for reading byte ranges: the most recently used ones (our choice)."""


class Decoded(NamedTuple):
    """A decoded image.

    `extent`: the size of the original times the scale, in pixels, not rounded. A JPEG of 257 x 259
    at scale 1/8 has 33 x 33 pixels and the extent (32.125, 32.375). `orientation`: the Exif number,
    1 (displayed as stored) to 8; it is not applied. `is_plain`: see `manifests.media.pixels`.
    """

    image: Image
    extent: tuple[float, float]
    orientation: int
    is_plain: bool = True

    def upright(self) -> Image:
        """Returns the image as it is shown, with its orientation applied."""
        from PIL.Image import Transpose

        turn = _TURNS.get(self.orientation)
        return self.image if turn is None else self.image.transpose(Transpose[turn])


_TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
"""Pillow's operation that makes an image upright, by Exif orientation (Exif 2.32, tag 0x0112)."""


class Media:
    """Opens the images and videos of batches of records. Steps that run together share one `Media`,
    so each image is decoded once for all of them.

    `base` is the folder of relative uris, `kept` is the folder of `kept:` uris. `side` is the
    smallest length in pixels of an image's shorter side that is enough for every step. To save
    time, an image is decoded at the smallest scale of its codec that gives this length. It is
    decoded at full size if it is smaller, if its codec cannot scale, or if `side` is None.
    """

    def __init__(
        self, base: str = "", kept: str = "", limits: Limits | None = None, side: int | None = None
    ) -> None:
        self._base, self._kept, self.limits, self._side = base, kept, limits or Limits(), side
        self._files: OrderedDict[str, Any] = OrderedDict()
        self._images: dict[Reference, Decoded | MediaError] = {}
        self._cached_bytes = 0

    def resolve(self, uri: str) -> str:
        """Returns the full path or URL for the uri of a reference. Raises MediaError if a `kept:`
        uri is not a plain path inside the folder of stored media."""
        if uri.startswith(KEPT):
            try:
                return storage.join(self._kept, inside(uri.removeprefix(KEPT)))
            except ValueError as error:
                raise MediaError(str(error), uri, _FIX_OUTSIDE) from None
        return storage.resolve(self._base, uri)

    def read(self, ref: Reference) -> bytes:
        """Returns all bytes that a reference refers to. Raises MediaError if bytes are missing,
        LimitError if there are more than `max_bytes`."""
        if ref.length is not None and ref.length > self.limits.max_bytes:
            raise self._too_big(ref, ref.length)
        if ref.offset is None:
            return self._read_file(ref)
        data = self._slice(ref.uri, ref.offset, ref.length or 0)
        if len(data) != ref.length:
            raise MediaError(
                f"the file is truncated: it has {len(data)} of the {ref.length} bytes that the "
                "record refers to",
                ref.place,
                _FIX_TRUNCATED,
            )
        return data

    def size(self, ref: Reference) -> int:
        """Returns the number of bytes that a reference refers to. If the reference does not state
        this number, the size of the file is read. Raises MediaError if the file does not exist."""
        if ref.length is not None:
            return ref.length
        with _media_errors(ref.uri):
            found = storage.size_and_stamp(self.resolve(ref.uri))
        if found is None:
            raise MediaError("there is no such file", ref.uri, FIX_MISSING_FILE)
        return found[0]

    def header(self, ref: Reference) -> Header:
        """Returns the format and size of an image. Only the first bytes of the image are read if
        they contain the header; otherwise all bytes are read. Raises MediaError if there is no
        valid header, LimitError if the image is over a limit."""
        data = self._first(ref, FIRST_BYTES)
        try:
            header = probe(data)
        except MediaError as error:
            if len(data) < FIRST_BYTES:
                raise MediaError(error.fault, ref.place, _FIX_BROKEN) from None
            header = probe(self.read(ref))
        self.check(header, ref.place)
        return header

    def orientation(self, ref: Reference) -> int:
        """Returns the Exif orientation of an image: 1 (displayed as stored) to 8; 1 if the
        orientation is missing or broken, and for every TIFF."""
        return orientation(self._first(ref, FIRST_BYTES))

    def check(self, header: Header, place: str = "") -> None:
        """Raises LimitError if the width times the height of an image is over the limit
        `max_pixels`."""
        if header.width * header.height > self.limits.max_pixels:
            raise LimitError(
                f"{header.width} x {header.height} pixels is over the limit of "
                f"{self.limits.max_pixels}.",
                place,
                "Raise media.max_pixels, or leave the file in quarantine.",
            )

    def image(self, ref: Reference) -> Image:
        """Returns the first frame of the image as RGB, possibly at a smaller scale (see `side` of
        `Media`). Raises MediaError if the image cannot be decoded, LimitError if it is over a
        limit."""
        return self.decoded(ref).image

    def decoded(self, ref: Reference) -> Decoded:
        """Returns the image that the method `image` returns, with two facts. `extent` is the size
        of the image before this size is rounded to whole pixels: a codec that scales an image down
        gives fractions. `orientation` is the file's Exif orientation, which is not applied to the
        image."""
        image = self._images.get(ref)
        if image is None:
            image = self._decode_once(ref)
            self._cache(ref, image)
        if isinstance(image, MediaError):
            raise image
        return image

    def _decode_once(self, ref: Reference) -> Decoded | MediaError:
        try:
            return self.decode(self.read(ref), ref, self._side)
        except MediaError as error:
            return error

    def _cache(self, ref: Reference, image: Decoded | MediaError) -> None:
        """Keeps a decoded image, or the error of an image that cannot be decoded, so that other
        steps need not decode the image again. Does nothing if the kept images would then need more
        than CACHED_BYTES."""
        size = 0 if isinstance(image, MediaError) else 4 * image.image.width * image.image.height
        if self._cached_bytes + size <= CACHED_BYTES:
            self._images[ref] = image
            self._cached_bytes += size

    def forget(self) -> None:
        """Frees the memory of the decoded images, at the end of a batch."""
        self._images.clear()
        self._cached_bytes = 0

    def close(self) -> None:
        self.forget()
        while self._files:
            self._files.popitem()[1].close()

    def another(self) -> Media:
        """Returns a `Media` of the same folders and limits, for another thread: a `Media` must not
        be used by two threads at once."""
        return Media(self._base, self._kept, self.limits, self._side)

    def decode(self, data: bytes, ref: Reference, side: int | None) -> Decoded:
        """Decodes an image from its bytes, which `read` returned for `ref`. `side`: see `Media`."""
        with decoder_output(prints=is_tiff(data)) as printed:
            try:
                return self._decoded(data, ref, side)
            except Exception as error:  # on broken bytes Pillow raises errors of many types
                if isinstance(error, MediaError) or is_of_environment(error):
                    raise
                caught = error
        fault = _decoder_fault(caught, len(data), printed.text)
        raise MediaError(fault, ref.place, _FIX_BROKEN) from None

    def _decoded(self, data: bytes, ref: Reference, side: int | None) -> Decoded:
        from PIL import Image

        Image.MAX_IMAGE_PIXELS = None  # `check` below applies the recipe's own limit
        with Image.open(io.BytesIO(data), formats=PILLOW_FORMATS) as image:
            self.check(Header("", image.width, image.height), ref.place)
            self._check_frames(image, ref)
            extent = _reduce(image, side)
            image.load()
            turned = exif_orientation(image)
            return Decoded(rgb(image), extent or image.size, turned, is_plain(image))

    def _check_frames(self, image: Any, ref: Reference) -> None:
        """Raises LimitError if an image has more frames than the limit `max_frames`."""
        frames = getattr(image, "n_frames", 1)
        if frames > self.limits.max_frames:
            raise LimitError(
                f"{frames} frames is over the limit of {self.limits.max_frames}.",
                ref.place,
                "Raise media.max_frames, or leave the file in quarantine.",
            )

    def _first(self, ref: Reference, size: int) -> bytes:
        length = size if ref.length is None else min(size, ref.length)
        return self._slice(ref.uri, ref.offset or 0, length, keep=ref.offset is not None)

    def _read_file(self, ref: Reference) -> bytes:
        size = self.size(ref._replace(length=None))
        if size > self.limits.max_bytes:
            raise self._too_big(ref, size)
        place = self.resolve(ref.uri)
        if storage.is_remote(place):
            with _media_errors(ref.uri):
                return storage.read_bytes(place)
        return self._slice(ref.uri, 0, size, keep=False)

    def _slice(self, uri: str, offset: int, length: int, keep: bool = True) -> bytes:
        place = self.resolve(uri)
        with _media_errors(uri):
            if storage.is_remote(place):
                return bytes(self._remote(place, keep).read_at(length, offset))
            if keep:
                return os.pread(self._local(place).fileno(), length, offset)
            with _open_regular(place) as handle:
                return os.pread(handle.fileno(), length, offset)

    def _local(self, place: str) -> Any:
        return self._kept_open(place) or self._open(place, _open_regular(place))

    def _remote(self, place: str, keep: bool) -> Any:
        system, path = storage.filesystem(place)
        if not keep:
            return system.open_input_file(path)
        return self._kept_open(place) or self._open(place, system.open_input_file(path))

    def _kept_open(self, place: str) -> Any:
        if place in self._files:
            self._files.move_to_end(place)
        return self._files.get(place)

    def _open(self, place: str, handle: Any) -> Any:
        self._files[place] = handle
        if len(self._files) > _OPEN_FILES:
            self._files.popitem(last=False)[1].close()
        return handle

    def _too_big(self, ref: Reference, size: int) -> LimitError:
        return LimitError(
            f"{size} bytes is over the limit of {self.limits.max_bytes}.",
            ref.place,
            "Raise media.max_bytes, or leave the file in quarantine.",
        )


@contextlib.contextmanager
def _media_errors(uri: str) -> Iterator[None]:
    """Replaces errors of disks and servers in the `with` block by a MediaError with the uri of the
    medium. So the record of a medium that cannot be read is quarantined, and the run goes on."""
    try:
        yield
    except FileNotFoundError:
        raise MediaError("there is no such file", uri, FIX_MISSING_FILE) from None
    except (StorageError, OSError) as error:
        if is_of_environment(error):
            raise
        if isinstance(error, StorageError):
            raise MediaError(error.fault, uri, error.fix) from error
        raise MediaError(foreign_message(error), uri) from error


def _reduce(image: Image, side: int | None) -> tuple[float, float] | None:
    """Asks the codec to decode the image at a smaller scale. Returns the size of the image at that
    scale, not rounded; None if the codec cannot scale, or if full size is needed."""
    if not side:
        return None
    scale = min(image.width, image.height) / side
    drafted = image.draft("RGB", (int(image.width / scale), int(image.height / scale)))
    return drafted and drafted[1][2:]


def _decoder_fault(error: Exception, size: int, printed: str) -> str:
    """Returns the error text for an image that Pillow cannot decode. `size` is the number of bytes
    of the image file, `printed` is what the decoder printed."""
    from PIL import UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        fault = f"the {size} bytes of the file are not an image of a known format"
    else:
        fault = f"the image cannot be decoded: {type(error).__name__}: {foreign_message(error)}"
    return f"{fault} ({printed})" if printed else fault


def _open_regular(place: str) -> io.FileIO:
    """Opens a file. Raises OSError for a FIFO, socket or device, which could block or never end."""
    handle = io.FileIO(os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    if stat.S_ISREG(os.fstat(handle.fileno()).st_mode):
        return handle
    handle.close()
    raise OSError("the path leads to a FIFO, device or folder, not to a regular file")
