"""The images of a batch as one flat column, and their values reduced to one for each record."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests.record.columns import media_lists


class ImageRows(NamedTuple):
    """Each image of a batch: the row it belongs to, (n,) int64 ascending, and its media struct."""

    rows: np.ndarray
    images: pa.Array


def image_rows(media: pa.Array | pa.ChunkedArray) -> ImageRows:
    """The images of the column `media`, without its videos.

    media [[image a, image b], [], [video c, image d]] -> rows [0, 0, 2], images [a, b, d]
    """
    offsets, flat = media_lists(media)
    rows = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    is_image = pc.equal(pc.struct_field(flat, "kind"), "image").fill_null(False)
    return ImageRows(rows[np.asarray(is_image)], flat.filter(is_image))


def reduce_by_record(
    ufunc: np.ufunc, rows: np.ndarray, values: np.ndarray, records: int
) -> pa.Array:
    """The values of each record reduced to one; null for a record without values.

    `rows` is ascending, the record of each value:
    `reduce_by_record(np.minimum, [0, 0, 2], [5, 3, 8], 3) -> [3, null, 8]`
    """
    reduced, is_empty = np.zeros(records, values.dtype), np.ones(records, bool)
    if len(rows):
        starts = np.flatnonzero(np.diff(rows, prepend=-1))
        reduced[rows[starts]] = ufunc.reduceat(values, starts)
        is_empty[rows[starts]] = False
    return pa.array(reduced, mask=is_empty)
