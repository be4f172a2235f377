"""Items of a stream in batches that are bounded in number and in bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from curate.ingest.reader import BATCH_ROWS

BATCH_BYTES = 32 << 20
"""Bytes in one batch (ours: long texts do not fill the memory of a worker)."""
_Item = TypeVar("_Item")


def in_batches(items: Iterable[_Item], size_of: Callable[[_Item], int]) -> Iterator[list[_Item]]:
    """Lists of BATCH_ROWS items. A list ends earlier as soon as its items exceed BATCH_BYTES.

    `size_of` returns the number of bytes of an item.
    """
    batch: list[_Item] = []
    size_bytes = 0
    for item in items:
        batch.append(item)
        size_bytes += size_of(item)
        if len(batch) == BATCH_ROWS or size_bytes > BATCH_BYTES:
            yield batch
            batch, size_bytes = [], 0
    if batch:
        yield batch
