"""One image a row: opened for its header, and made into caption records, column by column."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from operator import itemgetter
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from curate.ingest.reader import Context, Failure, Found, Reader
from manifests import record
from manifests.errors import LimitError, RowError
from manifests.media import Limits, Media, Reference
from manifests.media.header import FIRST_BYTES, Header, orientation, probe
from manifests.storage import File

"""Where Exif is looked for, as `Media.orientation` does."""


class OpenedImage(NamedTuple):
    """An image that opens: where it lies, and what its header says; and how it is shown, as Exif
    numbers it, where that was looked at."""

    reference: Reference
    header: Header
    orientation: int | None = None


class Rows(NamedTuple):
    """What a batch says beside its images. `numbers`: of the rows, or lines, in their file."""

    numbers: Sequence[int] | np.ndarray
    texts: pa.Array
    meta: pa.Array
    language: pa.Array | None = None

    def only(self, mask: np.ndarray) -> Rows:
        chosen = pa.array(mask)
        language = None if self.language is None else self.language.filter(chosen)
        numbers = np.asarray(self.numbers)[mask]
        return Rows(numbers, self.texts.filter(chosen), self.meta.filter(chosen), language)


def check_bytes(size: int, limits: Limits) -> None:
    """Raises LimitError for a media file of more bytes than allowed."""
    if size > limits.max_bytes:
        fault = f"{size} bytes is over the limit of {limits.max_bytes}."
        raise LimitError(fault, "", "Raise media.max_bytes or let it go to quarantine.")


def opened(reference: Reference, media: Media) -> OpenedImage | RowError:
    """The image of a reference, or what stops it from being one, and where that lies."""
    try:
        size = media.size(reference)
        check_bytes(size, media.limits)
        return OpenedImage(reference._replace(length=size), media.header(reference))
    except RowError as error:
        return type(error)(error.fault, error.place or reference.uri, error.fix)


def kept(data: memoryview, context: Context, looked_at: bool = False) -> OpenedImage | RowError:
    """The image of bytes that came inside another format, laid down beside the part.

    Bytes that are no image, or over a limit, are not kept.
    """
    try:
        header = _inspected(data, context.media)
    except RowError as error:
        return error
    # What is kept cannot be opened yet, so that how it is shown is asked now or never.
    shown = orientation(bytes(data[:FIRST_BYTES])) if looked_at else None
    return OpenedImage(Reference(*context.keep(data)), header, shown)


def _inspected(data: memoryview, media: Media) -> Header:
    check_bytes(len(data), media.limits)
    header = probe(data)
    media.check(header)
    return header


def bytes_of(values: pa.Array) -> list[memoryview | None]:
    """The values of a binary column, in place: no byte is copied."""
    if not len(values):
        return []
    _, offsets, data = values.buffers()
    kind = np.int64 if values.type == pa.large_binary() else np.int32
    at = np.frombuffer(offsets, kind, len(values) + 1, values.offset * np.dtype(kind).itemsize)
    view = memoryview(data or b"").cast("B")
    slices = (view[start:stop] for start, stop in itertools.pairwise(at.tolist()))
    is_there = values.is_valid().to_pylist()
    return [one if there else None for one, there in zip(slices, is_there, strict=True)]


def all_failed(reader: Reader, file: File, errors: list[tuple[int, RowError]]) -> list[Failure]:
    """Failures in the order of their rows; a message names the media file that is at fault."""
    return [
        Failure(reader.key(file, n), reader.origin(file, n), type(error).__name__, str(error))
        for n, error in sorted(errors, key=itemgetter(0))
    ]


def found(
    reader: Reader,
    file: File,
    rows: Rows,
    images: Sequence[OpenedImage | RowError] | None,
    broken: Sequence[tuple[int, RowError]] = (),
) -> Found:
    """Caption records of the rows whose image opened; failures of the others and of `broken`.

    Without `images`: records of the text alone.
    """
    opens = [p for p in images or () if isinstance(p, OpenedImage)]
    errors = list(broken)
    if images is not None and len(opens) < len(images):
        pairs = zip(rows.numbers, images, strict=True)
        errors += [(number, p) for number, p in pairs if isinstance(p, RowError)]
        rows = rows.only(np.array([isinstance(p, OpenedImage) for p in images]))
    records = record.captions(
        reader.name,
        [reader.key(file, number) for number in rows.numbers],
        pa.array([reader.origin(file, number) for number in rows.numbers], pa.string()),
        rows.texts,
        None if images is None else _columns(opens),
        rows.meta,
        rows.language,
    )
    return Found(records, all_failed(reader, file, errors))


def _columns(images: list[OpenedImage]) -> record.ImageColumns:
    return record.ImageColumns(
        uri=pa.array([p.reference.uri for p in images], pa.string()),
        offset=pa.array([p.reference.offset for p in images], pa.int64()),
        length=pa.array([p.reference.length for p in images], pa.int64()),
        mime=pa.array([p.header.mime for p in images], pa.string()),
        width=pa.array([p.header.width for p in images], pa.int32()),
        height=pa.array([p.header.height for p in images], pa.int32()),
    )
