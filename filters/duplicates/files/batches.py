"""Temporary Arrow files that have one record batch for each range of keys, slice of pairs, or
source."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import pyarrow as pa

from manifests.storage import parts
from manifests.storage.file_entry import FileEntry


def write_batches(uri: str, table: pa.Table, starts: Iterable[int] | np.ndarray) -> FileEntry:
    """Writes an Arrow file whose record batch i has the rows starts[i] to starts[i + 1] - 1 of the
    table; a batch may be empty."""
    with parts.writing(uri, table.schema, durable=False) as file:
        for start, end in pairwise(int(start) for start in starts):
            file.write(table.slice(start, end - start))
    return file.entry


def read_batch(uri: str, number: int) -> pa.Table:
    return pa.table(parts.open_part(uri).get_batch(number))
