"""Which record of a family stays: an order of measures, the same whoever arrives first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests import record
from manifests.errors import StepError
from manifests.record import media_lists
from manifests.step.spelling import nearest

OF_THE_RECORD = {
    "id": "id",
    "source": "source",
    "text.length": "content",
    "text.words": "content",
    "media.count": "media",
    "media.pixels": "media",
    "media.bytes": "media",
    "objects.count": "objects",
}
"""Measures that any record has, and the column they are read from."""


def unknown(measure: str) -> str:
    """What is wrong with a measure that is named like one of the record's, and is none."""
    groups = {name.partition(".")[0] for name in OF_THE_RECORD if "." in name}
    if measure in OF_THE_RECORD or measure.partition(".")[0] not in groups:
        return ""
    return f"no measure '{measure}'. {nearest(measure, list(OF_THE_RECORD))}"


class Wish(NamedTuple):
    """One line of the order: a measure, whether more of it is better, or a list of sources."""

    measure: str
    more: bool = False
    sources: tuple[str, ...] = ()

    @property
    def column(self) -> str:
        return OF_THE_RECORD.get(self.measure, self.measure)

    def ranks(self, table: pa.Table) -> np.ndarray:
        """float64 for each row: less is better; infinite where there is no measure."""
        if self.measure == "source":
            order = pa.array(self.sources, pa.string())
            at = pc.index_in(table["source"], order).fill_null(len(order))
            return np.asarray(at).astype(np.float64)
        values = self._values(table)
        return np.where(np.isnan(values), np.inf, -values if self.more else values)

    def _values(self, table: pa.Table) -> np.ndarray:
        if self.measure == "text.length":
            return np.asarray(pc.utf8_length(record.texts(table["content"]))).astype(np.float64)
        if self.measure == "text.words":
            from manifests.kernels.text_measures import word_counts

            return word_counts(record.texts(table["content"])).astype(np.float64)
        if self.measure == "objects.count":
            return np.asarray(pc.list_value_length(table["objects"])).astype(np.float64)
        if self.measure.startswith("media."):
            return _of_media(table, self.measure)
        column = table[self.measure]
        if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
            raise StepError(f"'{self.measure}' is no number: {column.type}", "keep")
        return np.asarray(column.cast(pa.float64()).fill_null(np.nan))


def wish(told: str | Mapping[Any, tuple[str, ...]]) -> Wish:
    """A line of `keep` as a recipe writes it: `-media.pixels`, `id`, or `source: [a, b]`."""
    if not isinstance(told, str):
        return Wish("source", sources=told["source"])
    return Wish(told.removeprefix("-"), told.startswith("-"))


def wishes(keep: Iterable[str | Mapping[Any, tuple[str, ...]]]) -> tuple[Wish, ...]:
    """The lines of `keep` before the `id`, which leaves nothing for those after it to decide."""
    told = [wish(line) for line in keep]
    measures = [*(one.measure for one in told), "id"]
    return tuple(told[: measures.index("id")])


def _of_media(table: pa.Table, measure: str) -> np.ndarray:
    """The count, pixels or bytes of each record's media together; nan where one is unknown."""
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
