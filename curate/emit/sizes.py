"""The sizes of values in a record batch, in bytes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests.record import media_lists


def sizes(values: pa.Array) -> np.ndarray:
    """Returns an upper bound of the size of each value in bytes, (n,) int64, including offsets and
    validity."""
    kind = values.type
    if pa.types.is_struct(kind):
        fields = (sizes(pc.struct_field(values, n)) for n in range(kind.num_fields))
        return sum(fields, np.ones(len(values), np.int64))
    if pa.types.is_list(kind):
        offsets, flat = media_lists(values)
        return sums(sizes(flat), offsets) + 9
    if pa.types.is_fixed_size_list(kind):
        offsets = np.arange(len(values) + 1) * kind.list_size
        return sums(sizes(values.values), offsets + values.offset * kind.list_size) + 1
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        return np.asarray(pc.binary_length(values).fill_null(0)).astype(np.int64) + 9
    return np.full(len(values), 2 + kind.bit_width // 8, np.int64)


def sums(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Returns the sum of each list of values, given the offsets of the lists.

    `sums([1, 2, 3], [0, 2, 2, 3]) -> [3, 0, 3]`
    """
    before = np.concatenate([[0], np.cumsum(values, dtype=np.int64)])
    totals: np.ndarray = before[offsets[1:]] - before[offsets[:-1]]
    return totals
