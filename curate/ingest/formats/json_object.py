"""Reads a file that is one JSON object whose values are arrays, such as `{"images": [...],
"annotations": [...]}`."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from curate.ingest.formats.chunks import with_compressed
from curate.ingest.formats.json_elements import (
    ByteRange,
    count_elements,
    elements,
    members,
    object_keys,
    value_start,
)
from curate.ingest.formats.json_pieces import REPAIR
from curate.ingest.formats.json_splits import array_splits
from curate.ingest.reader import Count, Head, Split
from manifests.errors import InputError, RowError
from manifests.storage import File

SUFFIXES = with_compressed(".json")
MIN_SPLIT_BYTES, MAX_SPLITS = 4 << 20, 32
"""Smallest size of a split, and largest number of splits (both our choice). Splits are small,
because each row opens an image; their number is limited, because each split scans the file from its
start."""


def find_arrays(
    place: str, names: Collection[str], optional: Collection[str] = ()
) -> tuple[dict[str, ByteRange], list[tuple[str, RowError]]]:
    """Returns the byte range of each value of the JSON object in a file, by key, and a list of
    errors.

    An error is a pair (where, error). If the JSON is broken, `where` is the word `object`. If the
    object does not have a key that is in `names`, `where` is this key. The caller parses the arrays
    with the keys `names` and, if the object has them, `optional`. This function parses all other
    values only to find errors: if such a value is not JSON, `where` is its key.
    """
    ranges, fault, broken = members(place, {*names, *optional})
    faults = [("object", RowError(fault, fix=REPAIR))] if fault else []
    present = ", ".join(ranges) or "none"
    for name in names:
        if name not in ranges:
            faults.append(
                (name, RowError(f"the JSON object has no key {name!r}; its keys are: {present}."))
            )
    return ranges, faults + list(broken.items())


def splits_of_array(file: File, place: str, name: str) -> Iterator[Split]:
    """Yields the splits of the array with the key `name` (the ranges that one task each reads). If
    there is no such key, the whole file is one split, and the reader reports the missing key when
    it reads this split."""
    array = members(place).ranges.get(name)
    if array is None:
        yield Split((file,))
    else:
        yield from array_splits(file, place, array, max(MIN_SPLIT_BYTES, file.size // MAX_SPLITS))


def count_array(place: str, split: Split, name: str, of_all: str = "") -> Count:
    """Returns the number of elements of the array with the key `name` in a split.

    The array with the key `of_all` belongs to the whole file and not to one split, so its elements
    are counted once: the number of these elements is added to the result of the first split. A
    missing array counts as 0.
    """
    ranges = members(place).ranges
    counted = [count_elements(place, *split[1:])] if name in ranges else []
    if split.first == 0 and of_all in ranges:
        counted.append(count_elements(place, *ranges[of_all]))
    found, is_whole = sum(c.units for c in counted), all(c.is_whole for c in counted)
    return Count("elements", found, is_whole=is_whole)


def first_element(head: Head, name: str) -> Any:
    """Returns the first element of the array with the key `name` in the file's JSON object; None if
    the array is missing or empty, or if the element is broken. The file is read as far as this
    element, also beyond the bytes in `head`."""
    if not object_keys(head.data):
        return None
    try:
        start = value_start(head.file.uri, name)
        first = None if start is None else next(elements(head.file.uri, start), None)
        return first and first.value()
    except (RowError, InputError):
        return None
