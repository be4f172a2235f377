"""A base class for readers of tables that have one annotated image in each row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

from curate.ingest.formats.nested_tables import SUFFIXES, RowBatch, count_rows, row_splits
from curate.ingest.grounding.annotations.annotation import AnnotatedImage
from curate.ingest.grounding.annotations.grounding_reader import GroundingReader
from curate.ingest.images import OpenedImage
from curate.ingest.reader import Context, Count, Split
from manifests.errors import RowError
from manifests.storage import File

ParseRow = Callable[[int, dict[str, Any], OpenedImage | RowError], AnnotatedImage]
"""A function that makes an annotated image from a row's number, cells and image. It raises RowError
if the row is malformed."""


class AnnotatedTable(GroundingReader):
    """A reader of parquet, JSON lines or JSON arrays that makes one record from each row."""

    version: ClassVar[int] = 3
    suffixes: ClassVar[tuple[str, ...]] = SUFFIXES

    def splits(self, file: File, context: Context) -> Iterator[Split]:
        return row_splits(file, context)

    def count(self, split: Split, context: Context) -> Count:
        return count_rows(split, context)


def annotated_rows(
    batch: RowBatch, images: Sequence[OpenedImage | RowError], parse: ParseRow
) -> list[AnnotatedImage]:
    """Returns an annotated image for each row: first for the broken rows of the batch, then for the
    other rows. The annotated image of a broken row has the error of the row in place of an image.
    `parse` makes the annotated image of any other row; if `parse` raises RowError, because the row
    is malformed, the annotated image has this error in place of an image."""
    annotated = [AnnotatedImage(number, error) for number, error in batch.broken]
    for number, row, image in zip(batch.numbers, batch.rows, images, strict=True):
        try:
            annotated.append(parse(number, row, image))
        except RowError as error:
            annotated.append(AnnotatedImage(number, error))
    return annotated
