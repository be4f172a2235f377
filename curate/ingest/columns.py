"""Checks that the table columns named in a recipe exist, and reads these columns as text."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests.errors import InputError
from manifests.step.spelling import nearest


def require_columns(
    names: Iterable[str], present: Collection[str], setting: str, place: str
) -> None:
    """Raises InputError for the first name in `names` that is not in `present`, the columns of the
    table. `setting` is the setting of the recipe that has the names. The error names this setting,
    and suggests the most similar column name or, if no name is similar, lists all of them."""
    for name in names:
        if name not in present:
            fix = f"{nearest(name, list(present))} Check the setting '{setting}'."
            raise InputError(f"there is no column {name!r}.", place, fix)


def text_columns(
    named: tuple[str, ...] | None, usual: Sequence[str], present: Sequence[str], place: str
) -> tuple[str, ...]:
    """Returns the names of the columns from which the text is read. If `named`, the setting of the
    recipe, is not None, these are the columns in `named`. Otherwise, these are the columns of the
    table whose names are in `usual`; case is ignored. `present` has the names of all columns of the
    table.

    Raises InputError if a column in `named` does not exist, or if no column has a usual name.
    """
    if named is not None:
        require_columns(named, present, "text", place)
        return named
    found = [name for wanted in usual for name in present if name.lower() == wanted]
    if not found:
        raise InputError(
            f"the table has no text column with a usual name ({', '.join(usual)}); its columns "
            f"are: {', '.join(present)}.",
            place,
            "Set `text` to the column of text, or to [] for records without text.",
        )
    return tuple(found)


def column(batch: pa.RecordBatch, name: str) -> pa.Array:
    """Returns the first column with the given name: in Arrow, several columns may have the same
    name."""
    return batch.column(batch.schema.names.index(name))


def first_text(batch: pa.RecordBatch, names: Sequence[str], place: str) -> pa.Array:
    """Returns one text for each row: the first text of the row in the columns `names` that is not
    blank, or null if all are blank. If a cell is a list of texts, its first text that is not blank
    counts as the text of the cell.

    `place` is the file's name in error messages.
    """
    texts = [blank_to_null(as_text(batch, name, "text", place)) for name in names]
    return pc.coalesce(*texts) if texts else pa.nulls(batch.num_rows, pa.string())


def fully_used(schema: pa.Schema, names: Sequence[str]) -> set[str]:
    """Returns the names of the text columns that need not be repeated in `meta`, because
    `first_text` returns their whole content. `names` are all text columns.

    A text column is fully used only if it is the only text column and its cells are not lists. If
    there are several text columns, or if a cell is a list, `first_text` returns only one of the
    texts in a row, so `meta` must have the other texts.
    """
    return {
        name
        for name in names
        if len(names) == 1 and not _is_list(schema.field(schema.names.index(name)).type)
    }


def _is_list(kind: pa.DataType) -> bool:
    return isinstance(kind, pa.ListType | pa.LargeListType)


def as_text(batch: pa.RecordBatch, name: str, setting: str, place: str) -> pa.Array:
    """Converts a column to strings. If a cell is a list, the text is the first element that is
    neither null nor blank. `setting` is the setting of the recipe that names the column. Raises
    InputError, which names this setting, if the column cannot be converted, or if its Arrow type
    says that its bytes are not text.

    A column that is still binary (`columnar.batches`) has bytes that are no text.
    """
    values = column(batch, name)
    if _has_bytes(values.type):
        fault = f"column {name!r} has bytes whose Arrow type says that they are not text."
        fix = f"Convert the column to text, or check the setting '{setting}'."
        raise InputError(fault, place, fix)
    try:
        return _first_items(values) if _is_list(values.type) else values.cast(pa.string())
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
        fault = f"column {name!r} is {values.type}, which cannot be read as text: {error}."
        raise InputError(fault, place, f"Check the setting '{setting}'.") from error


def _has_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind.value_type if _is_list(kind) else kind))


def _first_items(lists: pa.Array) -> pa.Array:
    """Returns, for each list, its first element that is neither null nor blank, or null if the list
    has no such element: `[[null, "x"], []]` -> `["x", null]`."""
    items = blank_to_null(lists.flatten().cast(pa.string()))
    valid = np.flatnonzero(np.asarray(items.is_valid()))
    rows, first = np.unique(np.asarray(pc.list_parent_indices(lists))[valid], return_index=True)
    places, is_null = np.zeros(len(lists), np.int64), np.ones(len(lists), bool)
    places[rows], is_null[rows] = valid[first], False
    return items.take(pa.array(places, mask=is_null))


def first_item(values: Sequence[object]) -> object:
    """Returns the first element of a list that is neither null nor blank text; None if the list has
    no such element."""
    return next(
        (v for v in values if v is not None and (not isinstance(v, str) or has_text(v))), None
    )


def blank_to_null(texts: pa.Array) -> pa.Array:
    """Replaces each text that is empty or only whitespace with null."""
    has_text = pc.not_equal(pc.utf8_trim_whitespace(texts), "")
    return pc.if_else(pc.fill_null(has_text, False), texts, pa.scalar(None, pa.string()))


def has_text(value: object) -> bool:
    """Whether a value is a string that is not blank."""
    return isinstance(value, str) and not (value == "" or value.isspace())
