"""Collects the images of a batch in one flat column, and reduces values of images to one value for
each record."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests.record.columns import media_lists


class ImageRows(NamedTuple):
    """The n images of a batch. `rows`: (n,) int64 ascending, for each image the number of its row
    in the batch. `images`: the media struct of each image."""

    rows: np.ndarray
    images: pa.Array


def image_rows(media: pa.Array | pa.ChunkedArray) -> ImageRows:
    """Returns the images of the column `media`, without its videos.

    media [[image a, image b], [], [video c, image d]] -> rows [0, 0, 2], images [a, b, d]
    """
    offsets, flat = media_lists(media)
    rows = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    is_image = pc.equal(pc.struct_field(flat, "kind"), "image").fill_null(False)
    return ImageRows(rows[np.asarray(is_image)], flat.filter(is_image))


def reduce_by_record(
    ufunc: np.ufunc, rows: np.ndarray, values: np.ndarray, records: int
) -> pa.Array:
    """Reduces the values of each record to one value; null for a record without values.

    `rows` has the record of each value, ascending:
    `reduce_by_record(np.minimum, [0, 0, 2], [5, 3, 8], 3) -> [3, null, 8]`
    """
    reduced, is_empty = np.zeros(records, values.dtype), np.ones(records, bool)
    if len(rows):
        starts = np.flatnonzero(np.diff(rows, prepend=-1))
        reduced[rows[starts]] = ufunc.reduceat(values, starts)
        is_empty[rows[starts]] = False
    return pa.array(reduced, mask=is_empty)
