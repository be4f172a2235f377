"""Finds the ids of the COCO annotations in a split, and how often each id occurs in the file."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

from curate.ingest.formats.chunks import read_chunks
from curate.ingest.formats.json_elements import ByteRange, batches, element_groups
from curate.ingest.formats.json_fields import as_objects, id_field
from curate.ingest.formats.json_pieces import Element
from curate.ingest.reader import Split
from manifests.errors import RowError


class SplitIds(NamedTuple):
    """The ids of the annotations in a split.

    `id_count` maps each annotation id in the split to the number of annotations in the whole file
    with this id. `pair_count` maps each pair (annotation id, image id) in the split to the number
    of annotations in the whole file with this pair. `images` are the image ids of the split's
    annotations. `used` are the image ids of all annotations in the file; `used` is empty except for
    the first split.
    """

    id_count: Counter[str]
    pair_count: Counter[tuple[str, str]]
    images: set[str]
    used: set[str]

    @classmethod
    def of_nothing(cls) -> SplitIds:
        return cls(Counter(), Counter(), set(), set())


def read_ids(place: str, array: ByteRange, split: Split) -> SplitIds:
    """Reads the ids of a split's annotations, and counts how often each id occurs in the whole
    array `annotations`. The array is at the byte range `array` of the file `place`. Broken elements
    are skipped; the task that reads the split with a broken element reports the error."""
    own = list(_pairs(element_groups(place, *split[1:])))
    keys, images = {key for key, _ in own}, {image for _, image in own}
    if (split.start, split.stop) == array:
        return SplitIds(Counter(key for key, _ in own), Counter(own), images, images)
    ids = SplitIds(Counter(keys), Counter(own), images, set())
    if split.first and _are_unique(keys, len(own), read_chunks(place, *array)):
        return ids
    ids.id_count.clear()
    ids.pair_count.clear()
    for key, image in _pairs(element_groups(place, *array)):
        if key in keys:
            ids.id_count[key] += 1
            ids.pair_count[key, image] += 1
        if split.first == 0:
            ids.used.add(image)
    return ids


def _are_unique(keys: set[str], count: int, chunks: Iterable[bytes]) -> bool:
    """Whether it is certain that each id in `keys` occurs only once in a file. `keys` are the
    different ids of `count` annotations.

    No element is parsed: every `"id": value` in the bytes counts as an annotation's id, even if it
    is in a nested object. So a repeated id is always found, but the result may be false although
    all ids occur once.
    """
    if len(keys) < count:
        return False
    found = 0
    for tokens in _raw_ids(chunks):
        if None in tokens:
            return False
        found += sum(token in keys for token in tokens)
    return found <= count


def _raw_ids(chunks: Iterable[bytes]) -> Iterator[list[str | None]]:
    """Yields, for each chunk, the values of its keys `id` at any depth, as text: `{"id": 7}` ->
    `7`. None stands for bytes in which an id may be written in an unusual way: with escapes, or as
    a number like -0. The last key of a chunk may be yielded with the next chunk."""
    rest = b""
    for chunk in chunks:
        text = rest + chunk
        cut = text.rfind(b'"id"')
        if cut < 0 or len(text) - cut > _MAX_ID_BYTES:  # the last id is complete
            cut = len(text) - len('"id')
        yield _tokens(text[:cut])
        rest = text[max(cut, 0) :]
    yield _tokens(rest)


_RAW_ID = re.compile(rb'"id"\s*:\s*("[^"]*"|[^\s,}\]"]*)')
_PLAIN = re.compile(rb"0|-?[1-9]\d*|\"[^\\]*\"")
_ESCAPED_KEY = re.compile(rb'"(?:i|\\u0069)(?:d|\\u0064)"', re.IGNORECASE)
_MAX_ID_BYTES = 1 << 20
"""If the last key `id` is further than this from the end of a chunk, its value is complete (our
choice: an id has a few bytes)."""


def _tokens(data: bytes) -> list[str | None]:
    found: list[str | None] = [
        value.strip(b'"').decode(errors="replace") if _PLAIN.fullmatch(value) else None
        for value in _RAW_ID.findall(data)
        if value not in (b"null", b"true", b"false")
    ]
    has_escapes = b"\\u006" in data and any(b"\\" in key for key in _ESCAPED_KEY.findall(data))
    return [*found, None] if has_escapes else found


def _pairs(groups: Iterator[list[Element]]) -> Iterator[tuple[str, str]]:
    """Yields (id, image id) of each annotation; broken annotations are skipped."""
    annotations = chain.from_iterable(map(as_objects, batches(groups)))
    for annotation in annotations:
        if isinstance(annotation, dict):
            try:
                pair = id_field(annotation, "id"), id_field(annotation, "image_id")
            except RowError:  # reported when the split of the annotation is read
                continue
            yield pair
