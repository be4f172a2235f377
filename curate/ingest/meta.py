"""A table may have columns for which a record has no field of its own. These columns are converted
to JSON, which becomes the record's field `meta`."""

from __future__ import annotations

import base64
from collections.abc import Collection
from typing import Any

import pyarrow as pa

from manifests.text.json_values import dump_each, dump_json


def meta_json(batch: pa.RecordBatch, without: Collection[str | None]) -> pa.Array:
    """One JSON object for each row, with all columns except the columns in `without` and columns
    that hold bytes or intervals.

    Columns `caption`, `uid`, `w` without `caption` -> `{"uid": "a1", "w": 640}`. The value is null
    if no column remains.
    """
    rows = json_rows(batch, without)
    if not rows or not rows[0]:
        return pa.nulls(batch.num_rows, pa.string())
    return json_column(rows)


def json_rows(batch: pa.RecordBatch, without: Collection[str | None] = ()) -> list[dict[str, Any]]:
    """Returns one dict for each row, with values that `to_json` can serialise. The keys of a dict
    are the columns of `batch`, except the columns in `without` and columns that hold bytes or
    intervals."""
    names, columns = [], []
    for field, values in zip(batch.schema, batch.columns, strict=True):
        plain = _json_type(field.type)
        if field.name not in without and plain is not None:
            names.append(field.name)
            columns.append((values if plain == field.type else values.cast(plain)).to_pylist())
    if not names:
        return [{} for _ in range(batch.num_rows)]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def json_column(rows: list[dict[str, Any]]) -> pa.Array:
    """Serialises each row as JSON, as `to_json` does."""
    return pa.array(dump_each(rows, _as_text), pa.string())


def to_json(row: dict[str, Any]) -> str:
    """Serialises a row as JSON. Bytes become base64; other values without a JSON type become
    text."""
    return dump_json(row, _as_text)


def _as_text(value: object) -> str:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)


def _json_type(kind: pa.DataType) -> pa.DataType | None:
    """The type to which a column is cast for JSON; None for columns that hold bytes or intervals,
    which are omitted.

    Points in time and decimals become text, because Python's dates have no nanoseconds and a
    smaller range of years than Arrow's. Durations become whole numbers, in their own unit.
    """
    if isinstance(kind, pa.BaseExtensionType):
        return _json_type(kind.storage_type)
    if pa.types.is_map(kind):
        key, item = _json_type(kind.key_type), _json_type(kind.item_type)
        return None if key is None or item is None else pa.map_(key, item)
    if pa.types.is_interval(kind):
        return None
    if pa.types.is_temporal(kind) or pa.types.is_decimal(kind):
        return pa.int64() if pa.types.is_duration(kind) else pa.string()
    if isinstance(kind, pa.ListType | pa.LargeListType | pa.FixedSizeListType):
        inside = _json_type(kind.value_type)
        return None if inside is None else pa.list_(inside)
    if pa.types.is_struct(kind):
        inside = [(f.name, _json_type(f.type)) for f in kind]
        return None if any(t is None for _, t in inside) else pa.struct(inside)
    return None if _holds_bytes(kind) else kind


def _holds_bytes(kind: pa.DataType) -> bool:
    if kind.num_fields:
        return any(_holds_bytes(kind.field(n).type) for n in range(kind.num_fields))
    return bool(
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
        or pa.types.is_binary_view(kind)
    )
