"""Functions that make caption records from whole columns, from rows, or from several images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from curate.ingest.formats.lines import Lines
from curate.ingest.images import OpenedImage, row_failures
from curate.ingest.reader import Failure, ReadBatch, Reader
from manifests import record
from manifests.errors import RowError
from manifests.storage import File


class CaptionColumns(NamedTuple):
    """The columns of a batch of captions, all of the same length. The images are passed separately.

    `within` has the place of each row in its file (a row or line number, or an id), which becomes
    part of the record's key. `meta` has JSON text, and `language` has BCP 47 tags.
    """

    within: Sequence[int | str] | np.ndarray
    texts: pa.Array
    meta: pa.Array
    language: pa.Array | None = None

    def filter(self, mask: np.ndarray) -> CaptionColumns:
        """The rows where `mask` is true."""
        chosen = pa.array(mask)
        return CaptionColumns(
            np.asarray(self.within)[mask],
            self.texts.filter(chosen),
            self.meta.filter(chosen),
            None if self.language is None else self.language.filter(chosen),
        )


class CaptionRow(NamedTuple):
    """One caption and its image. If `image` is an error, the row becomes a failure.

    `within` is the place of the row in its file, which becomes part of the record's key.
    """

    within: int | str
    image: OpenedImage | RowError
    text: str | None = None
    meta: str | None = None


def batch_of_columns(
    reader: Reader,
    file: File,
    columns: CaptionColumns,
    images: Sequence[OpenedImage | RowError] | None,
    failed: Sequence[tuple[int | str, RowError]] = (),
) -> ReadBatch:
    """Makes a record for each row whose image was opened, and a failure for each other row and for
    each entry of `failed`.

    `images` has one entry for each row; if it is None, the records have only text. `failed` has the
    rows that are not in `columns`, as pairs (place in the file, error).
    """
    errors = list(failed)
    opened = [image for image in images or () if isinstance(image, OpenedImage)]
    if images is not None and len(opened) < len(images):
        pairs = zip(columns.within, images, strict=True)
        errors += [(within, image) for within, image in pairs if isinstance(image, RowError)]
        columns = columns.filter(np.array([isinstance(image, OpenedImage) for image in images]))
    records = record.captions(
        reader.name,
        [reader.key(file, within) for within in columns.within],
        pa.array([reader.origin(file, within) for within in columns.within], pa.string()),
        columns.texts,
        None if images is None else record.ImageColumns.from_images(opened),
        columns.meta,
        columns.language,
    )
    return ReadBatch(records, row_failures(reader, file, sorted(errors, key=itemgetter(0))))


def batch_of_rows(reader: Reader, file: File, rows: Sequence[CaptionRow]) -> ReadBatch:
    """Makes a record for each row whose image was opened, and a failure for each other row, in the
    order of `rows`."""
    opened = [row for row in rows if isinstance(row.image, OpenedImage)]
    columns = CaptionColumns(
        [row.within for row in opened],
        pa.array([row.text for row in opened], pa.string()),
        pa.array([row.meta for row in opened], pa.string()),
    )
    records = batch_of_columns(reader, file, columns, [row.image for row in opened]).records
    errors = [(row.within, row.image) for row in rows if isinstance(row.image, RowError)]
    return ReadBatch(records, row_failures(reader, file, errors))


def batch_of_failures(
    reader: Reader, file: File, errors: Sequence[tuple[int | str, RowError]], units: int = 1
) -> ReadBatch:
    """Makes a batch without records that has one failure for each pair (place in the file, error).
    Each failure counts as `units` units (lines, rows, elements); pass 0 for faults outside the
    lines, rows or elements that the reader counts."""
    failures = row_failures(reader, file, errors)
    if units != 1:
        rows = max(1, units)
        failures = [failure._replace(units=units, rows=rows) for failure in failures]
    return ReadBatch(record.SCHEMA.empty_table(), failures)


def with_lines(reader: Reader, file: File, found: ReadBatch, lines: Lines) -> ReadBatch:
    """Returns the batch `found` of CSV rows, in which the counts are numbers of text lines instead
    of rows, because a quoted CSV row may have several lines. `lines` has the number of lines of
    each row that has more than one.

    A failure gets the number of its lines as `units`. A row that was read but failed, for example
    because its image is missing, counts as one failed row. A range of lines that cannot be read
    counts as one failed row for each line, because nobody knows how many rows are in the range.
    """
    if not lines.of_rows and not lines.blank:
        return found
    of_keys = {reader.key(file, number): number for number in lines.of_rows}
    failures, units = list[Failure](), found.records.num_rows + sum(lines.of_rows.values())
    units -= len(lines.of_rows)
    for failure in found.failures:
        number = of_keys.get(failure.key)
        if number is not None:
            count = lines.of_rows[number]
            units -= count - 1
            rows = None if number in lines.hidden else 1
            failure = failure._replace(units=count, rows=rows)
        failures.append(failure)
    left_aside = {"blank": lines.blank} if lines.blank else {}
    return ReadBatch(found.records, failures, left_aside, units)


def one_unit_each(found: ReadBatch, elements: int) -> ReadBatch:
    """Returns the batch `found`, in which the counts are numbers of elements of a JSON array
    instead of rows, because one element may have several rows (`12.0`, `12.1`, ...). `elements` is
    the number of elements from which the batch was made.

    Each failure counts as one row. An element counts as used if at least one record was made from
    it, even if it also has failures. Otherwise it counts as one failed element: its first failure
    counts as 1 element, and its other failures as 0.
    """
    seen = {_element(origin) for origin in found.records["origin"].to_pylist()}
    failures = list[Failure]()
    for failure in found.failures:
        element = _element(failure.origin)
        failures.append(failure._replace(units=int(element not in seen), rows=1))
        seen.add(element)
    failed = sum(failure.units for failure in failures)
    return found._replace(failures=failures, units=elements - failed)


def _element(origin: str) -> str:
    """The element of a file to which a row belongs: `a.json#12` for `a.json#12.1`."""
    file, _, within = origin.rpartition("#")
    return f"{file}#{within.partition('.')[0]}"


def add_caption(row: record.Row, text: str | None, images: Iterable[OpenedImage]) -> None:
    """Adds the images to a record, then the caption, which the model learns to write in
    training."""
    for image in images:
        row.image(*image)
    if text is not None:
        row.text(text)
