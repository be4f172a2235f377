"""The images of a batch as one flat column, and numbers of images told by record."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests.record import media_lists


class ImageRows(NamedTuple):
    """Each image of a batch: the row it belongs to (ascending), and its media struct."""

    rows: np.ndarray
    images: pa.Array


def image_rows(media: pa.Array | pa.ChunkedArray) -> ImageRows:
    """The images among the media of each row; videos are left out."""
    offsets, flat = media_lists(media)
    rows = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    is_image = pc.equal(pc.struct_field(flat, "kind"), "image").fill_null(False)
    return ImageRows(rows[np.asarray(is_image)], flat.filter(is_image))


def by_record(reduce: np.ufunc, rows: np.ndarray, values: np.ndarray, records: int) -> pa.Array:
    """One value a record, `reduce`d over its images; null where it has none."""
    whole, empty = np.zeros(records, values.dtype), np.ones(records, bool)
    if len(rows):
        starts = np.flatnonzero(np.diff(rows, prepend=-1))
        whole[rows[starts]] = reduce.reduceat(values, starts)
        empty[rows[starts]] = False
    return pa.array(whole, mask=empty)
