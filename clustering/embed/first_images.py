"""Decodes the first image of each record of a batch, as it is shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from manifests.errors import MediaError
from manifests.media import Media, references
from manifests.record.images import image_rows
from manifests.step import RowErrors

if TYPE_CHECKING:
    from PIL.Image import Image


def first_images(
    column: pa.Array | pa.ChunkedArray, media: Media, errors: RowErrors
) -> Iterator[tuple[int, Image]]:
    """Yields the row and the first image of each record with an image in the column `media`. The
    row of an image that cannot be decoded gets an error."""
    rows, images = image_rows(column)
    first = np.flatnonzero(np.diff(rows, prepend=-1))
    found = references(images.take(pa.array(first)))
    # One image at a time: a codec takes one file, and decoding costs far more than the loop.
    for row, reference in zip(rows[first].tolist(), found, strict=True):
        try:
            image = media.decoded(reference).upright()
        except MediaError as error:
            errors.add(row, error)
            continue
        yield row, image
