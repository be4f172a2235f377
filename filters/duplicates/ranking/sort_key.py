"""The setting `keep`: the order of preference among the records of a family (group of duplicates).

The order depends on the records alone, never on which record was read first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import AfterValidator, BeforeValidator

from manifests import record
from manifests.errors import StepError
from manifests.record import media_lists
from manifests.setting_values import as_list
from manifests.step.spelling import nearest

RECORD_MEASURES = {
    "id": "id",
    "source": "source",
    "text.length": "content",
    "text.words": "content",
    "media.count": "media",
    "media.pixels": "media",
    "media.bytes": "media",
    "objects.count": "objects",
}
"""Measures that every record has, and the column from which each measure is computed."""


class SortKey(NamedTuple):
    """One line of the setting `keep`: a measure, ascending or descending; or, for the measure
    `source`, the names of sources, best first."""

    measure: str
    descending: bool = False
    sources: tuple[str, ...] = ()

    @property
    def column(self) -> str:
        return RECORD_MEASURES.get(self.measure, self.measure)

    def ranks(self, table: pa.Table) -> np.ndarray:
        """Returns a float64 rank for each row. The lowest is best; the rank is infinite if the
        measure is missing.

        SortKey("text.words", descending=True) ranks texts of 3 and 5 words as [-3, -5].
        """
        if self.measure == "source":
            order = pa.array(self.sources, pa.string())
            at = pc.index_in(table["source"], order).fill_null(len(order))
            return np.asarray(at).astype(np.float64)
        values = self._values(table)
        return np.where(np.isnan(values), np.inf, -values if self.descending else values)

    def _values(self, table: pa.Table) -> np.ndarray:
        if self.measure == "text.length":
            return np.asarray(pc.utf8_length(record.texts(table["content"]))).astype(np.float64)
        if self.measure == "text.words":
            from manifests.kernels.text_measures import word_counts

            return word_counts(record.texts(table["content"])).astype(np.float64)
        if self.measure == "objects.count":
            return np.asarray(pc.list_value_length(table["objects"])).astype(np.float64)
        if self.measure.startswith("media."):
            return _media_measure(table, self.measure)
        column = table[self.measure]
        if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
            raise StepError(
                f"the measure '{self.measure}' is not a number: its type is {column.type}",
                "the setting 'keep'",
                "Name a measure that is a number.",
            )
        return np.asarray(column.cast(pa.float64()).fill_null(np.nan))


def sort_key(line: str | Mapping[Any, tuple[str, ...]]) -> SortKey:
    """Returns a line of the setting `keep` as a SortKey: "-media.pixels" -> SortKey("media.pixels",
    descending=True)."""
    if not isinstance(line, str):
        return SortKey("source", sources=line["source"])
    return SortKey(line.removeprefix("-"), line.startswith("-"))


def sort_keys(keep: Iterable[str | Mapping[Any, tuple[str, ...]]]) -> tuple[SortKey, ...]:
    """Returns the lines of the setting `keep` that come before `id`. Ids are unique, so lines after
    `id` never decide."""
    keys = [sort_key(line) for line in keep]
    measures = [*(key.measure for key in keys), "id"]
    return tuple(keys[: measures.index("id")])


def _media_measure(table: pa.Table, measure: str) -> np.ndarray:
    """Returns, for each record, the value of `measure` (`media.pixels`, `media.bytes` or
    `media.count`): the sum of the pixels, or of the bytes, of the record's images and videos, or
    the number of its images and videos; nan if a value is unknown."""
    offsets, flat = media_lists(table["media"])
    if measure == "media.count":
        return np.diff(offsets).astype(np.float64)
    if measure == "media.bytes":
        each = pc.struct_field(flat, "length")
    else:
        sides = (pc.struct_field(flat, side).cast(pa.float64()) for side in ("width", "height"))
        each = pc.multiply(*sides)
    values = np.asarray(each.cast(pa.float64()).fill_null(np.nan))
    rows = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    return np.bincount(rows, values, minlength=len(offsets) - 1)


def _lines_as_lists(value: Any) -> Any:
    """Returns the value of the setting `keep` with single values as lists: {"source": "web"} ->
    [{"source": ["web"]}]."""
    lines = [value] if isinstance(value, dict) else as_list(value)
    if not isinstance(lines, list | tuple):
        return lines
    return [
        {name: as_list(order) for name, order in line.items()} if isinstance(line, dict) else line
        for line in lines
    ]


Line = str | dict[Literal["source"], tuple[str, ...]]


def _checked(keep: tuple[Line, ...]) -> tuple[Line, ...]:
    if {"source", "-source"} & {line for line in keep if isinstance(line, str)}:
        raise ValueError(
            "source needs a list of sources, the preferred source first: {source: [first, second]}"
        )
    if "-id" in keep:
        raise ValueError(
            "'-id' is not possible, because the record with the lowest id is always preferred: "
            "write id"
        )
    for line in keep:
        if fault := unknown_measure(sort_key(line).measure):
            raise ValueError(fault)
    return keep


def unknown_measure(measure: str) -> str:
    """Returns the error text for a misspelt measure of records, such as "text.lenght": its first
    word is right, but there is no such measure. Returns "" for any other text."""
    groups = {name.partition(".")[0] for name in RECORD_MEASURES if "." in name}
    if measure in RECORD_MEASURES or measure.partition(".")[0] not in groups:
        return ""
    return f"records have no measure '{measure}'. {nearest(measure, list(RECORD_MEASURES))}"


_Given = str | dict[str, str | list[str]]
Keep = Annotated[
    tuple[Line, ...],
    BeforeValidator(_lines_as_lists, json_schema_input_type=_Given | list[_Given]),
    AfterValidator(_checked),
]
"""The type of the setting `keep`, in the steps `duplicates` and `duplicate_images`."""
