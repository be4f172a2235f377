"""Counts how many records of a corpus have each value of a column of lists."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.sampling.selection.ranking import groups
from manifests import record
from manifests.errors import StepError
from manifests.step import Corpus, Part, Workspace
from manifests.step.grouped import Grouping

COUNTS = pa.schema([("group", pa.string()), ("value", pa.string()), ("count", pa.int64())])
_SUMS = Grouping(COUNTS, ("sum",))


def distinct_values(rows: pa.Table, column: str, by: tuple[str, ...]) -> pa.Table:
    """Returns a row (row, group, value) for each value of a record's list; a repeated value is
    returned once. `row` is the number of the record; its group is made of the columns `by`."""
    lists = record.one_chunk(rows[column])
    kind = lists.type
    if not (pa.types.is_list(kind) and pa.types.is_string(kind.value_type)):
        raise StepError(
            f"the column '{column}' has the type {kind}", "the setting 'of'",
            "Name a column of lists of text, such as entities.ids.",
        )  # fmt: skip
    row, values = pc.list_parent_indices(lists).cast(pa.int64()), pc.list_flatten(lists)
    valid = values.is_valid()
    row, values = row.filter(valid), values.filter(valid)
    group = groups(rows, by).take(row)
    flat = pa.table({"row": row, "group": group, "value": values})
    distinct = flat.group_by(["row", "group", "value"], use_threads=False).aggregate([])
    return distinct.select(["row", "group", "value"])


def count_values(
    corpus: Corpus, workspace: Workspace, column: str, by: tuple[str, ...]
) -> pa.Table:
    """Returns how many records of each group have each value of `column`, with the schema COUNTS,
    sorted by group and value."""
    of_parts = workspace.map(_CountPart(corpus, column, by), corpus.parts)
    order = [("group", "ascending"), ("value", "ascending")]
    return _SUMS.of_many(table for _, table in of_parts).sort_by(order)


def union(rows: np.ndarray, probabilities: np.ndarray, records: int) -> np.ndarray:
    """Returns (records,) float64: the probability that at least one value of a record is drawn, 1 -
    (1 - p) (1 - p') ...; 0 for a record without values. `rows` has the record's number for each of
    `probabilities`, sorted."""
    starts = np.flatnonzero(np.diff(rows, prepend=-1))
    none = np.ones(records)
    if len(starts):
        none[rows[starts]] = np.multiply.reduceat(1 - probabilities, starts)
    return 1 - none


@dataclass(frozen=True)
class _CountPart:
    """A task for a worker: counts how many records of a part have each value."""

    corpus: Corpus
    column: str
    by: tuple[str, ...]

    def __call__(self, part: Part) -> pa.Table:
        values = distinct_values(self.corpus.read(part), self.column, self.by)
        counted = values.group_by(["group", "value"]).aggregate([("row", "count")])
        return counted.select(["group", "value", "row_count"]).rename_columns(COUNTS.names)
