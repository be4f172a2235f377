"""Converts the columns of a table to the few Arrow types that readers know.

Arrow has several types for the same kind of value. Which of them a file has depends on the program
that wrote the file: text may be a string, a large_string, a string_view or dictionary-encoded. A
table is converted once, when it is read, so that no reader has to know all types.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Returns the type to which a column is converted. Numbers, times and booleans keep their type.

        large_string, string_view                                        -> string
        large_binary, binary_view, fixed_size_binary                     -> binary
        large_list, fixed_size_list, list_view, large_list_view          -> list
        dictionary, run_end_encoded, extension                           -> the type of the values
        arrow.uuid (as text, 8-4-4-4-12 digits)                          -> string
        arrow.bool8                                                      -> bool

    The types inside lists, structs and maps are converted too.
    """
    if isinstance(kind, pa.UuidType):
        return pa.string()
    if isinstance(kind, pa.Bool8Type):
        return pa.bool_()
    if isinstance(kind, pa.BaseExtensionType):
        return plain_type(kind.storage_type)
    if isinstance(kind, pa.DictionaryType | pa.RunEndEncodedType):
        return plain_type(kind.value_type)
    if is_any_list(kind):
        field = kind.value_field
        return pa.list_(field.with_type(plain_type(field.type)))
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(plain_type(field.type)) for field in kind])
    if pa.types.is_map(kind):
        return pa.map_(plain_type(kind.key_type), plain_type(kind.item_type))
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if is_any_binary(kind):
        return pa.binary()
    return kind


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """Returns the schema that a table has after its columns are converted to `plain_type`. The
    metadata stays the same."""
    fields = [pa.field(field.name, plain_type(field.type)) for field in schema]
    return pa.schema(fields, schema.metadata)


def plain_batch(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Returns the batch with each column converted to its `plain_type`. Values that need no
    conversion are not copied."""
    schema = plain_schema(batch.schema)
    columns = [
        values if values.type == field.type and not _is_slice(values) else plain_array(values)
        for values, field in zip(batch.columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def check_names(fields: pa.Schema | pa.DataType) -> None:
    """Raises UnicodeDecodeError if the name of a column, or of a field inside it, is not UTF-8."""
    count = len(fields) if isinstance(fields, pa.Schema) else fields.num_fields
    for field in (fields.field(number) for number in range(count)):
        assert isinstance(field.name, str)  # pyarrow decodes the name here
        check_names(field.type)


def check_layout(batch: pa.RecordBatch) -> None:
    """Raises ArrowInvalid if an offset or an index of a batch points outside its values, so that a
    conversion would read memory outside the batch. Text that is not UTF-8 raises no error here."""
    for values in batch.columns:
        values.validate()
        values.view(_as_bytes(values.type)).validate(full=True)


def _as_bytes(kind: pa.DataType) -> pa.DataType:
    """Returns the type with binary in place of string, also inside lists and structs: list<string>
    -> list<binary>. Values of both types have the same memory layout."""
    for is_text, as_bytes in _BYTES_OF_TEXT:
        if is_text(kind):
            return as_bytes
    if is_any_list(kind):
        field = kind.value_field
        inner = field.with_type(_as_bytes(field.type))
        if isinstance(kind, pa.FixedSizeListType):
            return pa.list_(inner, kind.list_size)
        return _LISTS[type(kind)](inner)
    if isinstance(kind, pa.DictionaryType):
        return pa.dictionary(kind.index_type, _as_bytes(kind.value_type), kind.ordered)
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_as_bytes(field.type)) for field in kind])
    return kind


_BYTES_OF_TEXT = (
    (pa.types.is_string, pa.binary()),
    (pa.types.is_large_string, pa.large_binary()),
    (pa.types.is_string_view, pa.binary_view()),
)
_LISTS = {
    pa.ListType: pa.list_,
    pa.LargeListType: pa.large_list,
    pa.ListViewType: pa.list_view,
    pa.LargeListViewType: pa.large_list_view,
}


def plain_array(values: pa.Array) -> pa.Array:
    """Returns the array converted to `plain_type`. If the array is a slice of a longer list column,
    the result has only the values of the lists in the slice."""
    kind = values.type
    if isinstance(kind, pa.UuidType):
        return _uuid_texts(values.storage)
    if isinstance(kind, pa.Bool8Type):
        return values.storage.cast(pa.bool_())
    if isinstance(kind, pa.BaseExtensionType):
        return plain_array(values.storage)
    if isinstance(kind, pa.RunEndEncodedType):
        return plain_array(pc.run_end_decode(values))
    if isinstance(kind, pa.DictionaryType):
        return plain_array(values.dictionary).take(values.indices)
    if is_any_list(kind):
        return _list(values)
    if pa.types.is_struct(kind):
        return _struct(values)
    if pa.types.is_map(kind):
        return _map(values)
    plain = plain_type(kind)
    return values if plain == kind else _cast(values, plain)


def pieces(batch: pa.RecordBatch, rows: int, size_bytes: int) -> Iterator[pa.RecordBatch]:
    """Cuts a batch into pieces of at most `rows` rows and about `size_bytes` each.

    `size_bytes` refers to the size after the conversion, when each row of a dictionary-encoded
    column has its own copy of the value. The number of rows for a piece is computed as if all rows
    had the same size.
    """
    total = max(1, batch.nbytes + sum(map(_decoded_bytes, batch.columns)))
    count = max(1, min(rows, size_bytes * batch.num_rows // total))
    for start in range(0, batch.num_rows, count):
        yield batch.slice(start, count)


def is_any_list(kind: pa.DataType) -> bool:
    """Whether a type is one of Arrow's five types of lists."""
    return isinstance(
        kind,
        pa.ListType | pa.LargeListType | pa.FixedSizeListType | pa.ListViewType
        | pa.LargeListViewType,
    )  # fmt: skip


def is_marked_bytes(kind: pa.DataType) -> bool:
    """Whether the values of a type are bytes of which the type says that they are no text: bytes of
    a fixed size, or of an extension type other than arrow.uuid."""
    if isinstance(kind, pa.DictionaryType | pa.RunEndEncodedType) or is_any_list(kind):
        return is_marked_bytes(kind.value_type)
    if isinstance(kind, pa.BaseExtensionType):
        return is_any_binary(kind.storage_type) and not isinstance(kind, pa.UuidType)
    return bool(pa.types.is_fixed_size_binary(kind))


def is_any_binary(kind: pa.DataType) -> bool:
    """Whether a type is one of Arrow's four types of bytes."""
    return bool(
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
        or pa.types.is_binary_view(kind)
    )


def _is_slice(values: pa.Array) -> bool:
    return bool(values.offset) and is_any_list(values.type)


def _list(values: pa.Array) -> pa.Array:
    counts = np.asarray(pc.fill_null(pc.list_value_length(values), 0))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    mask = values.is_null() if values.null_count else None
    flat = plain_array(values.flatten())
    return pa.ListArray.from_arrays(pa.array(offsets), flat, plain_type(values.type), mask=mask)


def _struct(values: pa.Array) -> pa.Array:
    kind = plain_type(values.type)
    fields = [plain_array(values.field(n)) for n in range(kind.num_fields)]
    mask = values.is_null() if values.null_count else None
    if not fields:
        return values
    return pa.StructArray.from_arrays(fields, fields=list(kind), mask=mask)


def _map(values: pa.Array) -> pa.Array:
    offsets = np.asarray(values.offsets)
    is_null = np.append(np.asarray(values.is_null()), False)
    begin, size = int(offsets[0]), int(offsets[-1] - offsets[0])
    keys, items = (plain_array(one.slice(begin, size)) for one in (values.keys, values.items))
    starts = pa.array(offsets - begin, pa.int32(), mask=is_null if is_null.any() else None)
    return pa.MapArray.from_arrays(starts, keys, items, plain_type(values.type))


def _uuid_texts(values: pa.Array) -> pa.Array:
    """Returns the usual text of each uuid. `values` has the 16 bytes of each uuid."""
    raw = np.zeros((len(values), 16), np.uint8)
    if len(values):
        data = np.frombuffer(values.buffers()[1], np.uint8)
        raw[:] = data[16 * values.offset :][: raw.size].reshape(raw.shape)
    texts = np.full((len(values), 36), ord("-"), np.uint8)
    texts[:, _DIGITS] = _HEX[np.stack([raw >> 4, raw & 15], axis=-1)].reshape(-1, 32)
    fixed = pa.Array.from_buffers(pa.binary(36), len(values), [None, pa.py_buffer(texts)])
    return pc.if_else(values.is_valid(), fixed.cast(pa.binary()).view(pa.string()), None)


_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)
_DIGITS = [place for place in range(36) if place not in (8, 13, 18, 23)]


def _cast(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """Converts strings and bytes to the type `kind`. Text that is not UTF-8 is converted without an
    error, because later checks of the table report each row with such a text."""
    return pc.cast(values, options=pc.CastOptions(kind, allow_invalid_utf8=True))


def _decoded_bytes(values: pa.Array) -> int:
    """Returns the size in bytes of a dictionary-encoded column after the conversion, when each row
    has its own copy of its value. Returns 0 for a column that is not dictionary-encoded."""
    if is_any_list(values.type):
        return _decoded_bytes(values.flatten())
    if pa.types.is_struct(values.type):
        return sum(_decoded_bytes(values.field(n)) for n in range(values.type.num_fields))
    if not isinstance(values.type, pa.DictionaryType) or not len(values.dictionary):
        return 0
    words = values.dictionary
    try:
        sizes = pc.binary_length(plain_array(words))
    except pa.ArrowNotImplementedError:  # numbers
        return 8 * len(values)
    return int(pc.sum(pc.take(sizes, values.indices)).as_py() or 0)
