"""Makes records from Python dicts, one dict for each record."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from manifests.record.ids import record_ids
from manifests.record.schema import FIELDS, SCHEMA


def from_rows(rows: list[dict[str, Any]], source: str, modality: str) -> pa.Table:
    """Makes one record from each dict. A dict has the entry `key`, and any columns of the record
    except id, source and modality, which are made from `key`, `source` and `modality`.

    A column that a dict does not have is null or an empty list. Readers use `Builder`, whose
    methods have typed arguments.
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
