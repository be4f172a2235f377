"""Opens the images of rows and reads their headers. If a row has the bytes of an image, they are
copied to a file beside the output part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from curate.ingest.reader import Context, Failure, Reader
from manifests.errors import LimitError, RowError
from manifests.media import Limits, Media, Reference
from manifests.media.header import FIRST_BYTES, Header, orientation, probe
from manifests.storage import File


class OpenedImage(NamedTuple):
    """An image whose header was read. `reference` is the location of its bytes, and `header` has
    its format and its size.

    `orientation` is the Exif orientation from 1 to 8; None if the orientation was not read.
    """

    reference: Reference
    header: Header
    orientation: int | None = None


def check_size(size_bytes: int, limits: Limits) -> None:
    """Raises LimitError if a media file is larger than `limits.max_bytes`."""
    if size_bytes > limits.max_bytes:
        fault = f"{size_bytes} bytes is over the limit of {limits.max_bytes}."
        raise LimitError(fault, "", "Raise media.max_bytes, or leave the file in quarantine.")


def open_image(reference: Reference, media: Media) -> OpenedImage | RowError:
    """Opens the image at a reference. An error is returned, not raised; the place of the error is
    the image's uri."""
    try:
        size = media.size(reference)
        check_size(size, media.limits)
        return OpenedImage(reference._replace(length=size), media.header(reference))
    except RowError as error:
        return type(error)(error.fault, error.place or reference.uri, error.fix)


def keep_image(
    data: memoryview, context: Context, with_orientation: bool = False
) -> OpenedImage | RowError:
    """Copies image bytes to a file beside the output part, and returns the opened image.

    If the bytes are not an image or are over a limit, they are not copied, and the error is
    returned. The Exif orientation is read only if `with_orientation` is true.
    """
    try:
        header = _header(data, context.media)
    except RowError as error:
        return error
    # The orientation is read now: the copy cannot be opened before the part is complete.
    shown = orientation(bytes(data[:FIRST_BYTES])) if with_orientation else None
    return OpenedImage(context.keep(data), header, shown)


def _header(data: memoryview, media: Media) -> Header:
    check_size(len(data), media.limits)
    header = probe(data)
    media.check(header)
    return header


def row_failures(
    reader: Reader, file: File, errors: Sequence[tuple[int | str, RowError]]
) -> list[Failure]:
    """Makes a failure from each pair (place in the file, error), in the same order."""
    return [
        Failure.of(reader.key(file, within), reader.origin(file, within), error)
        for within, error in errors
    ]
