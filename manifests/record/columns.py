"""Converts columns of lists, such as `content` and `media` of records, to flat arrays."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def one_chunk(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Returns the column as one array. The column is not copied if it is one array already."""
    if isinstance(column, pa.ChunkedArray):
        return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    return column


def texts(content: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Returns strings: the text segments of each record, joined by newlines; "" if a record has no
    text.

    `content` is the record's column `content`.
    """
    lists = one_chunk(content)
    first = lists.offsets[0].as_py() if len(lists) else 0
    text = pc.struct_field(lists.flatten(), "text")
    has_text = np.asarray(text.is_valid())
    before = np.concatenate([[0], np.cumsum(has_text)]).astype(np.int32)
    offsets = before[np.asarray(lists.offsets) - first]
    flat = text.drop_null()
    if np.all(np.diff(offsets) == 1):
        return flat
    return pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets), flat), "\n")


def media_lists(media: pa.Array | pa.ChunkedArray) -> tuple[np.ndarray, pa.Array]:
    """Returns the offsets (rows + 1) and the flat values of a column of lists: `media`, `content`
    or `objects`. The values of row r are values[offsets[r] : offsets[r + 1]].

    `[[a, b], [], [c]] -> [0, 2, 2, 3], [a, b, c]`
    """
    lists = one_chunk(media)
    offsets = np.asarray(lists.offsets)
    flat = lists.flatten()
    return offsets - (offsets[0] if len(offsets) else 0), flat
