"""Joins groups of items into batches with a limited number of items and bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from curate.ingest.reader import BATCH_ROWS
from manifests.errors import FileError

BATCH_BYTES = 32 << 20
"""Largest size of a batch in bytes (our choice, so that long texts do not fill a worker's
memory)."""
_Item = TypeVar("_Item")


def in_batches(
    groups: Iterable[list[_Item]], size_of: Callable[[list[_Item]], int]
) -> Iterator[list[_Item]]:
    """Yields the items of all groups in lists of BATCH_ROWS. A list has fewer items if their size
    exceeds BATCH_BYTES.

    The items of a group are in memory together, such as the lines of a block of a file. `size_of`
    returns the size of several items in bytes. If the iterator `groups` raises FileError, the items
    before the error are yielded first, and then the error is raised.
    """
    batch: list[_Item] = []
    size_bytes, error = 0, None
    try:
        for group in groups:
            while group:
                added = group[: BATCH_ROWS - len(batch)]
                added_bytes = size_of(added)
                if size_bytes + added_bytes > BATCH_BYTES:
                    added = group[:1]
                    added_bytes = size_of(added)
                batch += added
                size_bytes += added_bytes
                if len(batch) == BATCH_ROWS or size_bytes > BATCH_BYTES:
                    yield batch
                    batch, size_bytes = [], 0
                group = group[len(added) :]
    except FileError as raised:
        error = raised
    if batch:
        yield batch
    if error is not None:
        raise error
