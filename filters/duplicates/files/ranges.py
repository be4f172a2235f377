"""Files of hashes and keys of units (records or images), divided into ranges by the highest bits of
the hashes and keys.

Every source (a part of the corpus, or an index file of an earlier run) writes one file with a
record batch for each range. A task of a later phase reads one range of all sources, so it reads all
units with equal hashes, whichever source they are in.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from filters.duplicates.corpus.units import Source, unit_ids
from filters.duplicates.files.batches import read_batch
from manifests import storage

EQUAL, NEAR = ".equal.arrow", ".near.arrow"
"""The endings of the names of files with identities (hashes of units) and of files with keys."""
EQUAL_SCHEMA = pa.schema([("high", pa.uint64()), ("low", pa.uint64()), ("unit", pa.uint32())])


def near_schema(words: int) -> pa.Schema:
    """Returns the Arrow schema of a file of keys. Each row has a key, the unit (record or image)
    that has the key, and `words` uint64 values, the data by which the unit is compared."""
    payload = pa.list_(pa.field("item", pa.uint64(), nullable=False), words)
    return pa.schema(
        [("key", pa.uint64()), ("mark", pa.uint64()), ("unit", pa.uint32()), ("payload", payload)]
    )


def range_starts(sorted_hashes: np.ndarray, bits: int) -> np.ndarray:
    """Returns the index in sorted hashes (uint64) at which each of 2^bits ranges starts, then the
    end of the last range.

    range_starts([1, 5, 2**63], 1) -> [0, 2, 3].
    """
    # For a single range (0 bits), a shift by 64 is undefined, so the shift is done in two parts.
    ranges = sorted_hashes >> np.uint64(63 - bits) >> np.uint64(1)
    return np.searchsorted(ranges, np.arange((1 << bits) + 1, dtype=np.uint64))


def read_range(folder: str, sources: Iterable[Source], ending: str, number: int) -> pa.Table | None:
    """Returns the rows of range `number` of the hashes, from the files of all sources, in one
    table. The file of a source has the name of the source and the ending `ending`. The column
    `unit` of the result has the ids of units (records or images), which are unique in the corpus.

    Returns None if no source wrote a file with this ending.
    """
    tables = []
    for source in sources:
        uri = storage.join(folder, source.name + ending)
        if storage.size_and_stamp(uri) is None:
            continue
        batch = read_batch(uri, number)
        units = unit_ids(source.number, np.asarray(batch["unit"]))
        at = batch.schema.get_field_index("unit")
        tables.append(batch.set_column(at, "unit", pa.array(units)))
    return pa.concat_tables(tables).combine_chunks() if tables else None
