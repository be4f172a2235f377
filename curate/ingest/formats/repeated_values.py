"""Finds the columns of a parquet file that would take up far more memory than the metadata states,
because many rows repeat a long value.

Such a column is stored as a dictionary of its different values. The metadata has the size of the
dictionary, but not the lengths of the values nor how often they are repeated.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curate.ingest.formats.arrow_types import is_any_list, plain_array
from curate.ingest.reader import BATCH_ROWS

_BATCH_BYTES = 128 << 20
"""A column is read as a dictionary if a batch of BATCH_ROWS rows, all with its longest value, would
be larger than this number of bytes (our choice)."""
_LONG_BYTES = _BATCH_BYTES // BATCH_ROWS


def repetitive(opened: pq.ParquetFile, groups: range) -> list[str]:
    """Returns the paths of the text and binary columns that have a dictionary in one of the row
    groups `groups`, and whose size in this row group is large enough for a long value."""
    found: dict[str, None] = {}
    texts = {n: column.path for n, column in enumerate(opened.schema) if _is_text(column)}
    for number in groups if texts else ():
        # This raises an error for damaged metadata, with which `column` would end the process.
        next(opened.iter_batches(1, [number], [*texts.values()], use_threads=False), None)
        group = opened.metadata.row_group(number)
        for place, path in texts.items():
            column = group.column(place)
            if column.has_dictionary_page and column.total_uncompressed_size > _LONG_BYTES:
                found[path] = None
    return [*found]


def _is_text(column: pq.ColumnSchema) -> bool:
    return bool(column.physical_type == "BYTE_ARRAY")


def long_repeated(opened: pq.ParquetFile, groups: range, paths: list[str]) -> list[str]:
    """Chooses, from the columns `paths`, the columns that have a dictionary with a long value in
    one of the row groups `groups`. A value is long if a batch of rows with this value would be
    larger than _BATCH_BYTES. `opened` is the parquet file, opened so that the columns `paths` are
    read as dictionaries."""
    return [path for path in paths if any(_longest(opened, g, path) > _LONG_BYTES for g in groups)]


def _longest(opened: pq.ParquetFile, group: int, path: str) -> int:
    """The length in bytes of the longest value in the dictionary of the column `path` in a row
    group."""
    batch = next(opened.iter_batches(1, [group], [path], use_threads=False), None)
    words = [] if batch is None else [*_dictionaries(batch.columns[0])]
    return max((pc.max(pc.binary_length(plain_array(w))).as_py() or 0 for w in words), default=0)


def _dictionaries(values: pa.Array) -> Iterator[pa.Array]:
    kind = values.type
    if isinstance(kind, pa.DictionaryType):
        yield values.dictionary
    elif is_any_list(kind):
        yield from _dictionaries(values.flatten())
    elif pa.types.is_struct(kind):
        for number in range(kind.num_fields):
            yield from _dictionaries(values.field(number))
