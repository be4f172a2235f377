"""Finds, for each record, the one image that its questions and answers are about."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests.geometry.shown_sizes import shown_sizes
from manifests.record import INCOMPLETE, lost_parts, media_lists
from manifests.record.objects import Objects
from manifests.step import reasons


class GroundedImages(NamedTuple):
    """The image that the questions about each record of a batch refer to. `media` has the index of
    the image within the record's media, `sizes` its width and height, and `drop` the reason to drop
    a record that has no such image."""

    media: np.ndarray
    """(records,) int64: index of the image within its record's media; -1 if there is none."""
    sizes: np.ndarray
    """(records, 2) float64: width and height in pixels as shown; nan if unknown."""
    drop: pa.Array
    """(records,) string: the drop reason of a record that has no such image; null for other
    records."""


def grounded_images(batch: pa.Table, objects: Objects) -> GroundedImages:
    """Returns, for each record, the image that all its objects are on; for a record without
    objects, its only image.

    An object without a `media` index belongs to the only medium of its record.
    """
    offsets, flat = media_lists(batch["media"])
    rows, count = batch.num_rows, np.diff(offsets)
    index = objects.field("media")
    unnamed = np.where(count[objects.rows] == 1, 0, -1)
    of_object = np.where(np.asarray(index.is_valid()), np.asarray(index.fill_null(0)), unnamed)
    lowest = np.where(count == 1, 0, np.iinfo(np.int64).max)
    highest = np.where(count == 1, 0, -1)
    np.minimum.at(lowest, objects.rows, of_object)
    np.maximum.at(highest, objects.rows, of_object)
    same = (lowest == highest) & (lowest >= 0) & (lowest < count)
    at = np.where(same, offsets[:-1] + lowest, len(flat))
    images = np.append(np.asarray(pc.equal(pc.struct_field(flat, "kind"), "image")), False)
    is_image = images[at]
    drop = reasons(rows, (count == 0, "no image"), (~same, "not about one image"),
                   (~is_image, "no image"))  # fmt: skip
    sizes = np.concatenate([shown_sizes(flat), [[np.nan, np.nan]]])
    return GroundedImages(np.where(is_image, lowest, -1), sizes[at], drop)


def incomplete(batch: pa.Table) -> pa.Array:
    """Returns (records,) string: the drop reason of a record that lost an annotation or another
    part of its content when it was read; null for other records. Questions about all objects of
    such a record cannot be answered."""
    return reasons(batch.num_rows, (lost_parts(batch["meta"]), INCOMPLETE))
