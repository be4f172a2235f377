"""Columns that a recipe names: finding them, the text of each row, and the rest as JSON."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Annotated

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BeforeValidator

from manifests.errors import InputError
from manifests.step.spelling import nearest


def _listed(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_listed, json_schema_input_type=str | list[str])]
"""One name, or several in order; a recipe may write one without a list."""


def require_columns(
    names: Iterable[str], present: Collection[str], setting: str, place: str
) -> None:
    """InputError for the first name that is not among the columns there are."""
    for name in names:
        if name not in present:
            fix = f"{nearest(name, list(present))} The setting is '{setting}'."
            raise InputError(f"no column {name!r}.", place, fix)


def text_columns(
    named: tuple[str, ...] | None, usual: Sequence[str], present: Sequence[str], place: str
) -> tuple[str, ...]:
    """The columns of text: those the recipe names, or the usual ones in whatever case.

    Raises InputError for a named one that is not there, and where there is no usual one.
    """
    if named is not None:
        require_columns(named, present, "text", place)
        return named
    there = [name for wanted in usual for name in present if name.lower() == wanted]
    if not there:
        raise InputError(
            f"no column of text: none of {', '.join(usual)} is among {', '.join(present)}.",
            place,
            "Name it: `text: <column>`, or `text: []` for images alone.",
        )
    return tuple(there)


def column(batch: pa.RecordBatch, name: str) -> pa.Array:
    """The first column of that name: a table may hold two."""
    return batch.column(batch.schema.names.index(name))


def first_text(batch: pa.RecordBatch, names: Sequence[str], place: str) -> pa.Array:
    """For each row the first of the named columns that says anything; null where none does.

    Of a list of texts, the first counts.
    """
    texts = [blank_to_null(as_text(batch, name, "text", place)) for name in names]
    return pc.coalesce(*texts) if texts else pa.nulls(batch.num_rows, pa.string())


def fully_used(schema: pa.Schema, names: Sequence[str]) -> set[str]:
    """The text columns of which nothing is left over: one alone, and not a list of texts."""
    return {
        name
        for name in names
        if len(names) == 1 and not _is_list(schema.field(schema.names.index(name)).type)
    }


def _is_list(kind: pa.DataType) -> bool:
    return isinstance(kind, pa.ListType | pa.LargeListType)


def as_text(batch: pa.RecordBatch, name: str, setting: str, place: str) -> pa.Array:
    """A column as strings, whatever Arrow type they have; of a list, the first."""
    values = column(batch, name)
    if _is_list(values.type):
        sizes = np.asarray(pc.fill_null(pc.list_value_length(values), 0))
        values = values.flatten().take(pa.array(np.cumsum(sizes) - sizes, mask=sizes == 0))
    try:
        return values.cast(pa.string())
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
        fault = f"column {name!r} is {values.type}, which is no text: {error}."
        raise InputError(fault, place, f"The setting is '{setting}'.") from error


def blank_to_null(texts: pa.Array) -> pa.Array:
    """Texts that say nothing, blank ones included, as nulls."""
    is_said = pc.not_equal(pc.utf8_trim_whitespace(texts), "")
    return pc.if_else(pc.fill_null(is_said, False), texts, pa.scalar(None, pa.string()))


def has_text(value: object) -> bool:
    return isinstance(value, str) and not (value == "" or value.isspace())
