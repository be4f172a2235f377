"""Splits a stream of items into batches of limited number and size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from curate.ingest.reader import BATCH_ROWS
from manifests.errors import FileError

BATCH_BYTES = 32 << 20
"""Largest size of a batch in bytes (our choice, so that long texts do not fill a worker's
memory)."""
_Item = TypeVar("_Item")


def in_batches(items: Iterable[_Item], size_of: Callable[[_Item], int]) -> Iterator[list[_Item]]:
    """Yields lists of BATCH_ROWS items. A list is shorter if its items exceed BATCH_BYTES.

    `size_of` returns the size of an item in bytes. If `items` raise FileError, the items before it
    are yielded, and the error is raised after them.
    """
    batch: list[_Item] = []
    size_bytes, error = 0, None
    try:
        for item in items:
            batch.append(item)
            size_bytes += size_of(item)
            if len(batch) == BATCH_ROWS or size_bytes > BATCH_BYTES:
                yield batch
                batch, size_bytes = [], 0
    except FileError as raised:
        error = raised
    if batch:
        yield batch
    if error is not None:
        raise error
