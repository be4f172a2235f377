"""Finds the ids of COCO annotations in a split, and which of them also occur before the split."""

from __future__ import annotations

import contextlib
from typing import NamedTuple

from curate.ingest.formats.json_elements import ByteRange, elements
from curate.ingest.formats.json_fields import as_object, id_field
from curate.ingest.reader import Split
from manifests.errors import RowError


class SplitIds(NamedTuple):
    """The ids of the annotations in a split, and the ids of the images to which they refer."""

    annotations: set[str]
    images: set[str]


def ids_in_split(place: str, split: Split) -> SplitIds:
    """The ids in a split of the array `annotations`. Broken elements are skipped; their errors are
    reported when the split is read."""
    ids = SplitIds(set(), set())
    for element in elements(place, *split[1:]):
        with contextlib.suppress(RowError):
            annotation = as_object(element)
            ids.annotations.add(id_field(annotation, "id"))
            ids.images.add(id_field(annotation, "image_id"))
    return ids


def earlier_ids(place: str, array: ByteRange, split: Split, ids: set[str]) -> set[str]:
    """Those of `ids` that also occur in an element before the split.

    A task reads only its own split, so it looks for repeated ids in all elements before the split.
    Broken elements are skipped; the task that reads their split reports them.
    """
    seen: set[str] = set()
    if split.first:
        for element in elements(place, array.start, split.start):
            with contextlib.suppress(RowError):
                if (key := id_field(as_object(element), "id")) in ids:
                    seen.add(key)
    return seen
