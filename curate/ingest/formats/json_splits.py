"""Cuts JSON arrays of any size into splits (the ranges that one task reads), at commas between
elements."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from curate.ingest.formats.chunks import is_compressed, read_chunks
from curate.ingest.formats.json_elements import WHOLE_FILE, ByteRange
from curate.ingest.formats.json_pieces import after_bracket, scan_chunks
from curate.ingest.reader import SPLIT_BYTES, Split
from manifests.errors import RowError
from manifests.storage import File
from manifests.text.json_states import CLOSED, STATE, new_state


def array_splits(
    file: File, place: str, array: ByteRange = WHOLE_FILE, split_bytes: int = SPLIT_BYTES
) -> Iterator[Split]:
    """Yields splits of at least `split_bytes` (the last may be smaller) that end at a comma between
    elements. The array is scanned once.

    In a split, `start` and `stop` are byte positions, and `first` is the number of elements before
    the split. A compressed file is one split, because it can be read only from its start.
    """
    start, first = array.start, 0
    if not is_compressed(place) and _size(file, array) > split_bytes:
        for cut, number in _cuts(place, array, split_bytes):
            yield Split((file,), start, cut, first)
            start, first = cut, number
    yield Split((file,), start, array.stop, first)


def _size(file: File, array: ByteRange) -> int:
    return (array.stop if array.stop >= 0 else file.size) - array.start


def _cuts(place: str, array: ByteRange, split_bytes: int) -> Iterator[tuple[int, int]]:
    """Yields, for each position at which the array is cut, (position, number of elements before the
    position)."""
    try:
        at, chunks = after_bracket(read_chunks(place, *array), array.start, b"[")
    except RowError:
        return
    memory, before, last = new_state(at), 0, array.start
    for _, _, borders in scan_chunks(chunks, memory, is_array=True):
        after = borders[: -1 if memory[STATE] >= CLOSED else None, 1]
        while (cut := int(np.searchsorted(after, last + split_bytes))) < len(after):
            last = int(after[cut])
            yield last, before + cut + 1
        before += len(after)
