"""Records from Python dicts, one for each record."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from manifests.record.ids import record_ids
from manifests.record.schema import FIELDS, SCHEMA


def from_rows(rows: list[dict[str, Any]], source: str, modality: str) -> pa.Table:
    """Records from dicts with `key`, and any columns of the record except id, source, modality.

    The id is made from `source` and `key`. Columns that a dict lacks are null, or empty lists.
    Readers use `Builder`, which knows the types.
    """
    columns: dict[str, Any] = {
        field.name: pa.array([row.get(field.name) for row in rows], field.type)
        for field in FIELDS
        if field.name not in ("id", "modality", "source")
    }
    for name in ("content", "media", "objects"):
        columns[name] = _empty_for_null(columns[name])
    columns["id"] = record_ids(source, (row["key"] for row in rows))
    columns["source"] = pa.repeat(source, len(rows))
    columns["modality"] = pa.repeat(modality, len(rows))
    return pa.table({name: columns[name] for name in SCHEMA.names}, schema=SCHEMA)


def _empty_for_null(lists: pa.Array) -> pa.Array:
    if not lists.null_count:
        return lists
    return pa.ListArray.from_arrays(lists.offsets, lists.values).cast(lists.type)
