"""The one place that opens media: bytes by reference, and images at the scale a pass needs.

A reference is (uri, offset, length). Its uri stands as the recipe wrote it, relative to the
folder the run was started in, so records say the same wherever the data lies; `kept:NAME` is a
file beside the parts, which holds media that came inside another format.
"""

from __future__ import annotations

import io
import os
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

from manifests import storage
from manifests.errors import LimitError, MediaError
from manifests.media.header import (
    FIRST_BYTES,
    PILLOW_FORMATS,
    Header,
    exif_orientation,
    orientation,
    probe,
)
from manifests.media.limits import Limits
from manifests.media.reference import Reference

if TYPE_CHECKING:
    from PIL.Image import Image

KEPT = "kept:"
FIX_MISSING_FILE = "Put the file there and run again with --retry, or leave it in quarantine."
_OPEN_FILES = 64


class Decoded(NamedTuple):
    """An image as its codec gives it.

    `extent`: the columns and rows that the original covers, as fractions where a JPEG of, say,
    257 x 259 is reduced to 33 x 33: (32.125, 32.375). `orientation`: how to show it, as Exif
    numbers it, 1 (as it is) to 8.
    """

    image: Image
    extent: tuple[float, float]
    orientation: int


class Media:
    """Opens what a batch refers to. One for each pass over a part; images are shared by steps.

    `side`: the shorter side, in pixels, that the pass's steps ask for; images are decoded once,
    at the smallest scale the codec offers that is no smaller.
    """

    def __init__(
        self, base: str = "", kept: str = "", limits: Limits | None = None, side: int | None = None
    ) -> None:
        self._base, self._kept, self.limits, self._side = base, kept, limits or Limits(), side
        self._files: OrderedDict[str, Any] = OrderedDict()
        self._images: dict[Reference, Decoded | MediaError] = {}

    def resolve(self, uri: str) -> str:
        """The full path or URL of a reference's uri."""
        if uri.startswith(KEPT):
            return storage.join(self._kept, uri.removeprefix(KEPT))
        return storage.resolve(self._base, uri)

    def read(self, ref: Reference) -> bytes:
        """All bytes of a reference. Raises MediaError where they are not there, or too many."""
        if ref.length is not None and ref.length > self.limits.max_bytes:
            raise self._too_big(ref, ref.length)
        if ref.offset is None:
            return self._whole(ref)
        data = self._slice(ref.uri, ref.offset, ref.length or 0)
        if len(data) != ref.length:
            raise MediaError(f"truncated: {len(data)} of {ref.length} bytes", ref.place)
        return data

    def size(self, ref: Reference) -> int:
        """The bytes of a reference. Raises MediaError where its file is not there."""
        if ref.length is not None:
            return ref.length
        found = storage.size_and_stamp(self.resolve(ref.uri))
        if found is None:
            raise MediaError("there is no such file", ref.uri, FIX_MISSING_FILE)
        return found[0]

    def header(self, ref: Reference) -> Header:
        """Format and size of an image, from its first bytes where they suffice."""
        data = self._first(ref, FIRST_BYTES)
        try:
            found = probe(data)
        except MediaError:
            if len(data) < FIRST_BYTES:
                raise
            found = probe(self.read(ref))
        self.check(found, ref.place)
        return found

    def orientation(self, ref: Reference) -> int:
        """How an image is shown, as Exif numbers it: 1 (as it is stored) to 8."""
        return orientation(self._first(ref, FIRST_BYTES))

    def check(self, header: Header, place: str = "") -> None:
        """Raises LimitError for an image of more pixels than allowed."""
        if header.width * header.height > self.limits.max_pixels:
            raise LimitError(
                f"{header.width} x {header.height} pixels is over the limit of "
                f"{self.limits.max_pixels}.",
                place,
                "Raise media.max_pixels or let it go to quarantine.",
            )

    def image(self, ref: Reference) -> Image:
        """The decoded image, RGB, its first frame, reduced as far as the pass allows."""
        return self.decoded(ref).image

    def decoded(self, ref: Reference) -> Decoded:
        """The same image with its exact extent and its orientation."""
        if ref not in self._images:
            try:
                self._images[ref] = self._decode(ref)
            except MediaError as error:
                self._images[ref] = error
        found = self._images[ref]
        if isinstance(found, MediaError):
            raise found
        return found

    def forget(self) -> None:
        """Let go of the images of a batch that is done."""
        self._images.clear()

    def close(self) -> None:
        self.forget()
        while self._files:
            self._files.popitem()[1].close()

    def _decode(self, ref: Reference) -> Decoded:
        from PIL import Image

        Image.MAX_IMAGE_PIXELS = None  # `check` below applies the recipe's own limit
        data = self.read(ref)
        try:
            with Image.open(io.BytesIO(data), formats=PILLOW_FORMATS) as image:
                self.check(Header("", image.width, image.height), ref.place)
                self._check_frames(image, ref)
                extent = self._reduce(image)
                image.load()
                return Decoded(_rgb(image), extent or image.size, exif_orientation(image))
        except MediaError:
            raise
        except Exception as error:  # Pillow's decoders raise whatever the bytes provoke
            raise MediaError(
                f"{type(error).__name__}: {error}",
                ref.place,
                "Put a whole image in its place, or leave it in quarantine.",
            ) from None

    def _reduce(self, image: Image) -> tuple[float, float] | None:
        """Let the codec decode at a smaller scale, if it can; the exact size it will then have."""
        if not self._side:
            return None
        scale = min(image.width, image.height) / self._side
        drafted = image.draft("RGB", (int(image.width / scale), int(image.height / scale)))
        return drafted and drafted[1][2:]

    def _check_frames(self, image: Any, ref: Reference) -> None:
        """Frames are counted, never sought: those after the first may be of any size."""
        frames = getattr(image, "n_frames", 1)
        if frames > self.limits.max_frames:
            raise LimitError(
                f"{frames} frames is over the limit of {self.limits.max_frames}.",
                ref.place,
                "Raise media.max_frames or let it go to quarantine.",
            )

    def _first(self, ref: Reference, size: int) -> bytes:
        length = size if ref.length is None else min(size, ref.length)
        return self._slice(ref.uri, ref.offset or 0, length, keep=ref.offset is not None)

    def _whole(self, ref: Reference) -> bytes:
        size = self.size(ref._replace(length=None))
        if size > self.limits.max_bytes:
            raise self._too_big(ref, size)
        return storage.read_bytes(self.resolve(ref.uri))

    def _slice(self, uri: str, offset: int, length: int, keep: bool = True) -> bytes:
        place = self.resolve(uri)
        try:
            if storage.is_remote(place):
                return bytes(self._remote(place, keep).read_at(length, offset))
            if keep:
                return os.pread(self._local(place).fileno(), length, offset)
            with open(place, "rb", buffering=0) as handle:
                return os.pread(handle.fileno(), length, offset)
        except FileNotFoundError:
            raise MediaError("there is no such file", uri, FIX_MISSING_FILE) from None
        except OSError as error:
            raise MediaError(str(error), uri) from error

    def _local(self, place: str) -> Any:
        return self._kept_open(place) or self._open(place, open(place, "rb", buffering=0))

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
            "Raise media.max_bytes or let it go to quarantine.",
        )


def _rgb(image: Image) -> Image:
    """RGB as Qwen's processors see it: transparent pixels stand on white (recipe facts 6.1)."""
    from PIL import Image as pillow

    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        ground = pillow.new("RGBA", image.size, "white")
        return pillow.alpha_composite(ground, image).convert("RGB")
    return image.convert("RGB") if image.mode != "RGB" else image.copy()
