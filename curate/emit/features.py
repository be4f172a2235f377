"""Describes a schema as features of Hugging Face `datasets`, so that `datasets` decodes images."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa

from manifests.errors import RecipeError

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
"""The type in which `datasets` stores an image. It is not `large_binary`, which `datasets` does not
decode."""
_NUMBERS = {"double": "float64", "float": "float32", "halffloat": "float16"}


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Returns the Arrow type without dictionary encoding, views and 64-bit offsets, which some
    readers do not support.

    `plain_type(pa.dictionary(pa.int32(), pa.large_string())) -> pa.string()`
    """
    if pa.types.is_dictionary(kind):
        return plain_type(kind.value_type)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return pa.binary()
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(plain_type(kind.value_type), kind.list_size)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(plain_type(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, plain_type(field.type)) for field in kind])
    return kind


def with_features(schema: pa.Schema) -> pa.Schema:
    """Returns the schema with its features in the metadata, from which `Dataset.from_file` reads
    them."""
    info = {"info": {"features": features(schema)}}
    return schema.with_metadata({"huggingface": json.dumps(info, separators=(",", ":"))})


def features(schema: pa.Schema) -> dict[str, Any]:
    """Returns the features (column types of the library `datasets`) of every column, in the old
    form, which all versions of `datasets` can read.

    `{"id": string, "images": list<IMAGE>} -> {"id": {"dtype": "string", "_type": "Value"},
    "images": [{"_type": "Image"}]}`
    """
    return {field.name: _feature(field.type, field.name) for field in schema}


def _feature(kind: pa.DataType, column: str) -> Any:
    if kind == IMAGE:
        return {"_type": "Image"}
    if pa.types.is_struct(kind):
        return {field.name: _feature(field.type, column) for field in kind}
    if pa.types.is_fixed_size_list(kind):
        inner = _feature(kind.value_type, column)
        return {"feature": inner, "length": kind.list_size, "_type": "Sequence"}
    if pa.types.is_list(kind):
        return [_feature(kind.value_type, column)]
    if pa.types.is_nested(kind):
        raise RecipeError(
            f"'{column}' is of type {kind}, which `datasets` cannot hold.",
            "shards.columns",
            "Remove the column from shards.columns.",
        )
    return {"dtype": _NUMBERS.get(str(kind), str(kind)), "_type": "Value"}
