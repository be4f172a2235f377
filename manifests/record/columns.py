"""Columns of records as flat arrays: texts, media, one chunk in place of many."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def one_chunk(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """The column as one array; no copy where it already is one."""
    if isinstance(column, pa.ChunkedArray):
        return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    return column


def texts(content: pa.Array | pa.ChunkedArray) -> pa.Array:
    """The text of every record: its text segments joined by a newline; "" where it has none."""
    lists = one_chunk(content)
    first = lists.offsets[0].as_py() if len(lists) else 0
    text = pc.struct_field(lists.flatten(), "text")
    spoken = np.asarray(text.is_valid())
    before = np.concatenate([[0], np.cumsum(spoken)]).astype(np.int32)
    offsets = before[np.asarray(lists.offsets) - first]
    said = text.drop_null()
    if np.all(np.diff(offsets) == 1):
        return said
    return pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets), said), "\n")


def media_lists(media: pa.Array | pa.ChunkedArray) -> tuple[np.ndarray, pa.Array]:
    """Offsets (rows + 1) and the flat media structs they cut: for work on whole columns."""
    lists = one_chunk(media)
    offsets = np.asarray(lists.offsets)
    flat = lists.flatten()
    return offsets - (offsets[0] if len(offsets) else 0), flat
