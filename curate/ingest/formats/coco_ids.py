"""Finds the ids of COCO annotations in a split, and how often each of them occurs in the file."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from curate.ingest.formats.json_elements import ByteRange, elements
from curate.ingest.formats.json_fields import as_object, id_field
from curate.ingest.formats.json_pieces import Element
from curate.ingest.reader import Split
from manifests.errors import RowError

_ID, _IMAGE_ID = (
    re.compile(rb'"%s"\s*:\s*(0|[1-9]\d*)\s*[,}]' % name) for name in (b"id", b"image_id")
)


class SplitIds(NamedTuple):
    """The ids of the annotations in a split.

    `id_count` has the number of annotations of the whole file with each of them, `pair_count` with
    each pair (id, id of the image). `images` are the images of the split's annotations; in the
    first split, `used` are the images of all annotations.
    """

    id_count: Counter[str]
    pair_count: Counter[tuple[str, str]]
    images: set[str]
    used: set[str]

    @classmethod
    def of_nothing(cls) -> SplitIds:
        return cls(Counter(), Counter(), set(), set())


def read_ids(place: str, array: ByteRange, split: Split) -> SplitIds:
    """Reads the ids of the array `annotations`. Broken elements are skipped; their errors are
    reported when their split is read."""
    own = list(_pairs(elements(place, *split[1:])))
    keys, images = {key for key, _ in own}, {image for _, image in own}
    if (split.start, split.stop) == array:
        return SplitIds(Counter(key for key, _ in own), Counter(own), images, images)
    ids = SplitIds(Counter(), Counter(), images, set())
    for key, image in _pairs(elements(place, *array)):
        if key in keys:
            ids.id_count[key] += 1
            ids.pair_count[key, image] += 1
        if split.first == 0:
            ids.used.add(image)
    return ids


def _pairs(found: Iterator[Element]) -> Iterator[tuple[str, str]]:
    """Yields (id, image id) of each annotation."""
    for element in found:
        with contextlib.suppress(RowError):
            yield _quick_pair(element) or _pair(element)


def _pair(element: Element) -> tuple[str, str]:
    annotation = as_object(element)
    return id_field(annotation, "id"), id_field(annotation, "image_id")


def _quick_pair(element: Element) -> tuple[str, str] | None:
    """The ids of an annotation, found without parsing it; None if it must be parsed.

    Only an element with a single `{` and without escapes is sure to have the ids at its top level.
    """
    data = element.data
    if element.fault or data.count(b"{") != 1 or b"\\" in data:
        return None
    key, image = _ID.findall(data), _IMAGE_ID.findall(data)
    return (key[0].decode(), image[0].decode()) if len(key) == len(image) == 1 else None
