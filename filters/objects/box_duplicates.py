"""The step `box_duplicates`: removes boxes that were annotated twice."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from manifests.geometry.boxes import all_finite, iou
from manifests.geometry.object_media import object_media
from manifests.record.objects import Objects, count_objects, edit_objects, flat_objects
from manifests.step import Columns, Context, RowStep


class BoxDuplicates(RowStep):
    """Remove objects whose box is a duplicate of an earlier box with the same label.

    Two boxes of a record are compared if their objects have the same label, text, image, start and
    end. They are duplicates if their intersection over union (IoU) is at least `threshold`. Objects
    are compared in their order: the first of several duplicates stays. A later box that overlaps
    only removed boxes stays too. Objects without a box stay. `removed` counts the removed objects
    of a record.

    The time grows with the square of the number of boxes that one label has on one image; the
    memory does not. The default is high on purpose: different objects in front of each other may
    have an IoU of 0.5, while two boxes of the same object usually have a higher IoU.
    """

    rewrites: ClassVar[tuple[str, ...]] = ("objects",)

    threshold: float = Field(
        0.9, gt=0, le=1, description="smallest intersection over union of duplicates (our choice)"
    )

    def reads(self) -> tuple[str, ...]:
        return ("objects", "media")

    def measures(self) -> dict[str, pa.DataType]:
        return {"removed": pa.int32()}

    def measure(self, batch: pa.Table, context: Context) -> Columns:
        objects = flat_objects(batch["objects"])
        boxed = np.flatnonzero(all_finite(objects.boxes))
        keep = np.ones(len(objects.rows), bool)
        keep[boxed] = first_of_duplicates(
            objects.boxes[boxed], _groups(objects, batch["media"])[boxed], self.threshold
        )
        removed = count_objects(objects, ~keep, batch.num_rows)
        return {"removed": removed, "objects": edit_objects(batch["objects"], keep)}


def first_of_duplicates(boxes: np.ndarray, groups: np.ndarray, threshold: float) -> np.ndarray:
    """Returns a mask (n,) of the boxes that are kept. A box is removed if its IoU with an earlier
    kept box of its group is at least `threshold`.

    `groups` (n,) int64: only boxes of the same group are compared. Each round works on all groups
    at once: it keeps the first remaining box of every group, and removes the duplicates of this
    box. So memory is linear in the number of boxes.
    """
    keep = np.zeros(len(boxes), bool)
    left = np.argsort(groups, kind="stable")
    while len(left):
        is_first = np.diff(groups[left], prepend=-1) != 0
        first = left[is_first]
        keep[first] = True
        compare_with = first[np.cumsum(is_first) - 1][~is_first]
        left = left[~is_first]
        left = left[iou(boxes[compare_with], boxes[left]) < threshold]
    return keep


def _groups(objects: Objects, media: pa.ChunkedArray) -> np.ndarray:
    """Returns a group number for each object, (n,) int64. Boxes are compared only within a group:
    the same record, image, label, text, start and end."""
    group = objects.rows
    for values in (
        object_media(objects, media),
        *(_codes(objects.field(name)) for name in ("label", "text", "start", "end")),
    ):
        if len(values) and values.max() > values.min():
            base = values.min()
            group = group * (int(values.max() - base) + 1) + (values - base)
            _, group = np.unique(group, return_inverse=True)
    return group


def _codes(values: pa.Array) -> np.ndarray:
    """Returns an integer code for each value, (n,) int64. Equal values have equal codes; null is a
    value too."""
    if values.null_count == len(values):
        return np.zeros(len(values), np.int64)
    coded = pc.dictionary_encode(values, null_encoding="encode")
    return np.asarray(coded.indices).astype(np.int64)
