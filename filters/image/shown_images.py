"""Decodes the images of a batch one after another, as they are shown, for steps with a model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests.errors import MediaError
from manifests.media import Media, references
from manifests.record import media_lists
from manifests.step import RowErrors

if TYPE_CHECKING:
    from PIL.Image import Image


class ShownImage(NamedTuple):
    """An image with its orientation applied. `row`: the record in the batch. `media`: the number of
    the image among the media of the record."""

    row: int
    media: int
    image: Image


def shown_images(
    column: pa.Array | pa.ChunkedArray, media: Media, errors: RowErrors
) -> Iterator[ShownImage]:
    """Yields the images in the column `media`. The row of an image that cannot be decoded gets an
    error. The memory of an image is freed when the next image is requested."""
    offsets, flat = media_lists(column)
    rows = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    places = np.arange(len(rows)) - np.asarray(offsets)[rows]
    is_image = np.asarray(pc.equal(pc.struct_field(flat, "kind"), "image").fill_null(False))
    images = flat.filter(pa.array(is_image))
    # One image at a time: a codec takes one file, and the model costs far more than the loop.
    for row, place, reference in zip(
        rows[is_image].tolist(), places[is_image].tolist(), references(images), strict=True
    ):
        try:
            image = media.decoded(reference).upright()
        except MediaError as error:
            errors.add(row, error)
            continue
        media.forget()  # full-size images of a whole batch would fill the memory
        yield ShownImage(row, place, image)
