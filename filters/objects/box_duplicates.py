"""One of the boxes that lie on the same thing of an image."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from manifests.geometry.boxes import all_finite, iou
from manifests.geometry.object_media import object_media
from manifests.media import Media
from manifests.record.objects import Objects, count_objects, edit_objects, flat_objects
from manifests.step import Outcome, RowStep


class BoxDuplicates(RowStep):
    """Remove objects whose box lies on that of an earlier object of the same label.

    Two boxes of a record are compared where their objects have the same label and text, medium,
    start and end; they are duplicates from an intersection over union of `threshold` on. The
    objects are gone through in their order: each stays unless its box is a duplicate of one that
    stays. Objects without a box stay. `removed` counts those that went.

    The time grows with the square of the boxes that one label has on one image, the memory does
    not. Detectors call a box found from an overlap of 0.5 on; annotators who outline one thing
    twice agree better than that, and things that stand before each other may overlap by 0.5.
    """

    measures: ClassVar[dict[str, pa.DataType]] = {"removed": pa.int32()}
    rewrites: ClassVar[tuple[str, ...]] = ("objects",)

    threshold: float = Field(
        0.9, gt=0, le=1, description="least intersection over union of duplicates (ours)"
    )

    def __call__(self, batch: pa.Table, media: Media) -> Outcome:
        objects = flat_objects(batch["objects"])
        boxed = np.flatnonzero(all_finite(objects.boxes))
        stays = np.ones(len(objects.rows), bool)
        stays[boxed] = first_of_alike(
            objects.boxes[boxed], _groups(objects, batch["media"])[boxed], self.threshold
        )
        removed = count_objects(objects, ~stays, batch.num_rows)
        return Outcome({"removed": removed, "objects": edit_objects(batch["objects"], stays)})


def first_of_alike(boxes: np.ndarray, groups: np.ndarray, threshold: float) -> np.ndarray:
    """(n,) bool: no earlier box of its group that stays overlaps it by the threshold.

    All groups at once: in each round the first box left of every group stays, and all those it
    overlaps go. So a round looks once at what is left, and memory is linear.
    """
    stays = np.zeros(len(boxes), bool)
    left = np.argsort(groups, kind="stable")
    while len(left):
        first = np.diff(groups[left], prepend=-1) != 0
        leader = left[first]
        stays[leader] = True
        against = leader[np.cumsum(first) - 1][~first]
        left = left[~first]
        left = left[iou(boxes[against], boxes[left]) < threshold]
    return stays


def _groups(objects: Objects, media: pa.ChunkedArray) -> np.ndarray:
    """(n,) int64: objects that may be one thing have the same number."""
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
    """A number for each different value, null being one."""
    if values.null_count == len(values):
        return np.zeros(len(values), np.int64)
    coded = pc.dictionary_encode(values, null_encoding="encode")
    return np.asarray(coded.indices).astype(np.int64)
