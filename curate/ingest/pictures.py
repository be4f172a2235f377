"""One picture a row: opened for its header, and made into caption records, column by column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from curate.ingest.reader import Context, Failure, Found, Reader
from manifests import record
from manifests.errors import LimitError, RowError
from manifests.header import Header, probe
from manifests.media import Media, Reference
from manifests.storage import File


class Picture(NamedTuple):
    """A picture that opens: where it lies, and what its header says."""

    reference: Reference
    header: Header


class Rows(NamedTuple):
    """What a batch says beside its pictures. `numbers`: of the rows, or lines, in their file."""

    numbers: Sequence[int] | np.ndarray
    texts: pa.Array
    meta: pa.Array
    language: pa.Array | None = None

    def only(self, mask: np.ndarray) -> Rows:
        chosen = pa.array(mask)
        language = None if self.language is None else self.language.filter(chosen)
        numbers = np.asarray(self.numbers)[mask]
        return Rows(numbers, self.texts.filter(chosen), self.meta.filter(chosen), language)


def opened(reference: Reference, media: Media) -> Picture | RowError:
    """The picture of a reference, or what stops it from being one."""
    try:
        return Picture(reference, media.header(reference))
    except RowError as error:
        return error


def kept(data: memoryview, context: Context) -> Picture | RowError:
    """The picture of bytes that came inside another format, laid down beside the part.

    Bytes that are no picture, or over a limit, are not kept.
    """
    try:
        header = _inspected(data, context.media)
    except RowError as error:
        return error
    return Picture(Reference(*context.keep(data)), header)


def _inspected(data: memoryview, media: Media) -> Header:
    if len(data) > media.limits.max_bytes:
        raise LimitError(
            f"{len(data)} bytes is over the limit of {media.limits.max_bytes}.",
            mend="Raise media.max_bytes or let it go to quarantine.",
        )
    header = probe(data)
    media.check(header)
    return header


def bytes_of(values: pa.Array) -> list[memoryview | None]:
    """The values of a binary column, in place: no byte is copied."""
    buffers = (scalar.as_buffer() for scalar in values)
    return [None if b is None else memoryview(b).cast("B") for b in buffers]


def failed(reader: Reader, file: File, number: int, error: RowError) -> Failure:
    """The failure of one row; its message names the media file where that is at fault."""
    kind, origin = type(error).__name__, reader.origin(file, number)
    return Failure(reader.key(file, number), origin, kind, str(error))


def found(
    reader: Reader,
    file: File,
    rows: Rows,
    pictures: Sequence[Picture | RowError],
    broken: Sequence[tuple[int, RowError]] = (),
) -> Found:
    """Caption records of the rows whose picture opened; failures of the others and of `broken`."""
    opens = [p for p in pictures if isinstance(p, Picture)]
    errors = [
        (n, p) for n, p in zip(rows.numbers, pictures, strict=True) if isinstance(p, RowError)
    ]
    if errors:
        rows = rows.only(np.array([isinstance(p, Picture) for p in pictures]))
    failures = [failed(reader, file, number, error) for number, error in [*broken, *errors]]
    records = record.captions(
        reader.name,
        [reader.key(file, number) for number in rows.numbers],
        pa.array([reader.origin(file, number) for number in rows.numbers], pa.string()),
        rows.texts,
        _columns(opens),
        rows.meta,
        rows.language,
    )
    return Found(records, failures)


def _columns(pictures: list[Picture]) -> record.Pictures:
    return record.Pictures(
        uri=pa.array([p.reference.uri for p in pictures], pa.string()),
        offset=pa.array([p.reference.offset for p in pictures], pa.int64()),
        length=pa.array([p.reference.length for p in pictures], pa.int64()),
        mime=pa.array([p.header.mime for p in pictures], pa.string()),
        width=pa.array([p.header.width for p in pictures], pa.int32()),
        height=pa.array([p.header.height for p in pictures], pa.int32()),
    )
