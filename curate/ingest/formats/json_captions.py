"""What readers of captions in one JSON object share: its arrays, and rows made into records."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from curate.ingest.columns import says_anything
from curate.ingest.formats.json_elements import (
    REPAIR,
    Element,
    Stretch,
    array_splits,
    elements,
    members,
    object_keys,
    value_start,
)
from curate.ingest.images import OpenedImage, Rows, found
from curate.ingest.reader import Failure, Found, Head, Reader, Split
from manifests.errors import InputError, RowError
from manifests.storage import File

SUFFIXES = (".json", ".json.gz", ".json.zst", ".json.bz2")
LEAST_SPLIT_BYTES, MOST_SPLITS = 4 << 20, 32
"""A caption costs the opening of an image, so splits are small; but each scans the whole file,
so there are not many (both ours)."""


class Row(NamedTuple):
    """One caption and its image, or why there is none; `within`: its place in the file."""

    within: Any
    image: OpenedImage | RowError
    text: str | None = None
    meta: str | None = None


def found_rows(reader: Reader, file: File, rows: Sequence[Row]) -> Found:
    """Caption records of the rows whose image opened, and the failures of the others."""
    whole = [row for row in rows if isinstance(row.image, OpenedImage)]
    texts = pa.array([row.text for row in whole], pa.string())
    meta = pa.array([row.meta for row in whole], pa.string())
    columns = Rows([row.within for row in whole], texts, meta)
    records = found(reader, file, columns, [row.image for row in whole]).records
    failures = [
        Failure(
            reader.key(file, row.within),
            reader.origin(file, row.within),
            type(row.image).__name__,
            str(row.image),
        )
        for row in rows
        if isinstance(row.image, RowError)
    ]
    return Found(records, failures)


def arrays(place: str, names: Collection[str]) -> tuple[dict[str, Stretch], list[Row]]:
    """Where the named arrays of a file's object lie; and what is wrong with it, as failed rows."""
    stretches, fault = members(place)
    broken = [Row("object", RowError(fault, fix=REPAIR))] if fault else []
    there = ", ".join(stretches) or "none"
    for name in names:
        if name not in stretches:
            broken.append(Row(name, RowError(f"no key {name!r}; there are: {there}.")))
    return stretches, broken


def splits_of(file: File, place: str, name: str) -> Iterator[Split]:
    """Splits of the array under a key; a file without it is one split, whose reading says so."""
    array = members(place).stretches.get(name)
    if array is None:
        yield Split((file,))
    else:
        yield from array_splits(
            file, place, array, max(LEAST_SPLIT_BYTES, file.size // MOST_SPLITS)
        )


def first_of(head: Head, name: str) -> Any:
    """The first element of the array under a key of the object that a file holds, or None."""
    if not object_keys(head.data):
        return None
    try:
        start = value_start(head.file.uri, name)
        first = None if start is None else next(elements(head.file.uri, start), None)
        return first and first.value()
    except (RowError, InputError):
        return None


def object_of(element: Element) -> dict[str, Any]:
    value = element.value()
    if not isinstance(value, dict):
        raise RowError(f"{value!r:.80} is not an object")
    return value


def text_of(holder: dict[str, Any], name: str) -> str:
    """A field that has to be there, and to be text that says anything."""
    value = holder.get(name)
    if not isinstance(value, str) or not value:
        raise RowError(f"{name!r} is {value!r:.80}, not text")
    return value


def caption_of(holder: dict[str, Any], name: str) -> str | None:
    """A caption; None where it is null or blank. RowError where it is missing, or not text."""
    if name not in holder:
        raise RowError(f"no {name!r}; there are: {', '.join(holder)}.")
    value = holder[name]
    if value is not None and not isinstance(value, str):
        raise RowError(f"{name!r} is {value!r:.80}, not text")
    return value if says_anything(value) else None
