"""The annotated images of a batch of rows of a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from curate.ingest.formats.nested_tables import RowBatch
from curate.ingest.grounding.annotations.annotation import AnnotatedImage
from curate.ingest.images import OpenedImage
from manifests.errors import RowError

ParseRow = Callable[[int, dict[str, Any], OpenedImage | RowError], AnnotatedImage]
"""From the number of a row, its cells and its image; RowError for a row that is malformed."""


def annotated_rows(
    batch: RowBatch, images: Sequence[OpenedImage | RowError], parse: ParseRow
) -> list[AnnotatedImage]:
    """An annotated image, or an error in its place, for each row; broken rows first."""
    annotated = [AnnotatedImage(number, error) for number, error in batch.broken]
    for number, row, image in zip(batch.numbers, batch.rows, images, strict=True):
        try:
            annotated.append(parse(number, row, image))
        except RowError as error:
            annotated.append(AnnotatedImage(number, error))
    return annotated


def without(row: dict[str, Any], *used: str | None) -> dict[str, Any]:
    """The fields of a row that are not used elsewhere in its record: `without(row, "bbox")`."""
    return {name: value for name, value in row.items() if name not in used}


def size_in(row: dict[str, Any], width: str, height: str) -> tuple[float, float] | None:
    """The size in two fields of a row; None if either is not a number.

    `size_in({"w": 640, "h": 480}, "w", "h") -> (640.0, 480.0)`
    """
    sides = row.get(width), row.get(height)
    if not all(isinstance(side, int | float) for side in sides):
        return None
    return float(sides[0] or 0), float(sides[1] or 0)
