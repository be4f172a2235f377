"""The one image that the questions about a record are about."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests.geometry.shown_sizes import shown_sizes
from manifests.record import media_lists
from manifests.record.objects import Objects
from manifests.step import reasons


class OneImage(NamedTuple):
    """Of each record: which of its media (rows,) int64, -1 for none; width and height (rows, 2)
    as it is shown, nan where unknown; and why there is none, null where there is one."""

    media: np.ndarray
    sizes: np.ndarray
    lacks: pa.Array


def one_image(batch: pa.Table, objects: Objects) -> OneImage:
    """The image that all objects of a record are on, or the only one of a record without.

    An object that names no medium is on the only one of its record.
    """
    offsets, flat = media_lists(batch["media"])
    rows, many = batch.num_rows, np.diff(offsets)
    named = objects.field("media")
    unnamed = np.where(many[objects.rows] == 1, 0, -1)
    on = np.where(np.asarray(named.is_valid()), np.asarray(named.fill_null(0)), unnamed)
    least = np.where(many == 1, 0, np.iinfo(np.int64).max)
    most = np.where(many == 1, 0, -1)
    np.minimum.at(least, objects.rows, on)
    np.maximum.at(most, objects.rows, on)
    one = (least == most) & (least >= 0) & (least < many)
    at = np.where(one, offsets[:-1] + least, len(flat))
    images = np.append(np.asarray(pc.equal(pc.struct_field(flat, "kind"), "image")), False)
    is_image = images[at]
    lacks = reasons(rows, (many == 0, "no image"), (~one, "not about one image"),
                    (~is_image, "no image"))  # fmt: skip
    sizes = np.concatenate([shown_sizes(flat), [[np.nan, np.nan]]])
    return OneImage(np.where(is_image, least, -1), sizes[at], lacks)
