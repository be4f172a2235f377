"""Applies the result of a step to a batch: adds columns, removes rows, and counts what became of
every row."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.engine.part_view import with_columns
from manifests.run.ledger import Account
from manifests.step import Columns
from manifests.step.outcome import ERRORS

ID_COLUMNS = [("id", pa.string()), ("source", pa.string()), ("origin", pa.string())]
"""The columns that identify a removed row."""
QUARANTINED = pa.schema(
    [
        *ID_COLUMNS,
        ("step", pa.string()),
        ("error", pa.string()),
        ("message", pa.string()),
        ("later", pa.bool_()),
        ("rows", pa.int64()),
    ]
)
"""The columns of a row of the quarantine. `later` is true if the cause of the error is transient,
so that `--retry` may succeed. `rows` is more than 1 if the row stands for several rows, such as a
range of a file that could not be read."""


class Answer(NamedTuple):
    """The result of a step for a batch, after it was checked. Columns have their names in this run,
    such as `words-2.count` for the second step `words`.

    `drop` (string) has the drop reason of each row, null for a row that stays. `errors` is a table
    with a row for each row of the batch: the class (`kind`) and the `message` of its error, and
    whether the cause may be gone later (`later`); kind and message are null for a row without an
    error.
    """

    columns: Columns
    drop: pa.Array
    errors: pa.Table


class StepResult(NamedTuple):
    """The rows of a batch after a step has run.

    `annotated` has all rows, with the columns that the step adds. `kept`, `dropped` and
    `quarantined` have the rows that the step kept, dropped and quarantined, and `account` has the
    numbers of these rows.
    """

    annotated: pa.Table
    kept: pa.Table
    dropped: pa.Table
    quarantined: pa.Table
    account: Account


def dropped_schema(part: pa.Schema) -> pa.Schema:
    """Returns the columns of a dropped row: its id, source and origin, the step that dropped it,
    the reason, and all measures so far. `part` has the columns of a row that is kept."""
    measures = [field for field in part if "." in field.name]
    return pa.schema([*ID_COLUMNS, ("step", pa.string()), ("reason", pa.string()), *measures])


def no_errors(rows: int) -> pa.Table:
    """A table of errors for `rows` rows, none of which has an error."""
    columns = [pa.nulls(rows, pa.string()), pa.nulls(rows, pa.string()), pa.repeat(False, rows)]
    return pa.table(columns, schema=ERRORS)


def apply_answer(
    name: str, batch: pa.Table, answer: Answer, dropped_as: pa.Schema, passed_over: int = 0
) -> StepResult:
    """Add the columns of `answer` to the batch, and remove the rows that it drops or quarantines.

    A row with both an error and a drop reason is quarantined. `dropped_as` is the schema of dropped
    rows in this pass; `passed_over` is the number of rows that the step did not process.
    """
    annotated = with_columns(batch, dict(answer.columns))
    failed = pc.is_valid(answer.errors["kind"].combine_chunks())
    dropped = pc.and_not(answer.drop.is_valid(), failed)
    removed = pc.or_(failed, dropped)
    kept = annotated.filter(pc.invert(removed)) if pc.any(removed).as_py() else annotated
    reasons = answer.drop.filter(dropped)
    quarantined = failed_rows(name, annotated.filter(failed), answer.errors.filter(failed))
    return StepResult(
        annotated,
        kept,
        dropped_rows(name, annotated.filter(dropped), reasons, dropped_as),
        quarantined,
        Account(
            step=name,
            rows_in=batch.num_rows,
            kept=kept.num_rows,
            passed_over=passed_over,
            dropped=counts(reasons),
            quarantined=counts(quarantined["error"]),
        ),
    )


def expand(answer: Answer, mask: np.ndarray, batch: pa.Table) -> Answer:
    """Expand a step's result for the rows selected by `mask` to all rows of the batch.

    The rows that are not selected get nulls, except in a column that the step rewrites, where they
    keep their old values. For example, drop ["short"] with mask [False, True] -> drop [None,
    "short"].
    """
    at = pa.array(np.cumsum(mask) - 1, mask=~mask)

    def expanded(name: str, column: pa.Array) -> pa.Array:
        values = column.take(at)
        if name not in batch.column_names:
            return values
        return pc.if_else(pa.array(mask), values, batch[name].combine_chunks())

    columns = {name: expanded(name, column) for name, column in answer.columns.items()}
    return Answer(columns, answer.drop.take(at), answer.errors.take(at))


def counts(values: pa.Array | pa.ChunkedArray) -> dict[str, int]:
    """Count how often each value occurs; the counts are sorted by value."""
    return dict(sorted((v["values"], v["counts"]) for v in pc.value_counts(values).to_pylist()))


def dropped_rows(name: str, rows: pa.Table, reasons: pa.Array, schema: pa.Schema) -> pa.Table:
    """Convert dropped rows to the schema of all dropped rows in a pass. `name` is the step that
    dropped the rows, and `reasons` are their drop reasons. The measures of later steps are null."""
    given = {"step": pa.repeat(name, rows.num_rows), "reason": reasons}
    columns = [
        given[f.name] if f.name in given
        else rows[f.name] if f.name in rows.column_names
        else pa.nulls(rows.num_rows, f.type)
        for f in schema
    ]  # fmt: skip
    return pa.table(columns, schema=schema)


def failed_rows(name: str, rows: pa.Table, errors: pa.Table) -> pa.Table:
    """Convert rows on which the step `name` failed to entries of the quarantine. `errors` has the
    error of each row."""
    return quarantine_rows(
        rows["id"],
        rows["source"],
        rows["origin"],
        name,
        errors["kind"],
        errors["message"],
        errors["later"],
    )


def quarantine_rows(
    ids: pa.Array,
    source: pa.Array,
    origin: pa.Array,
    step: str,
    errors: list[str] | pa.ChunkedArray,
    messages: list[str] | pa.ChunkedArray,
    later: pa.Array | pa.ChunkedArray | None = None,
    counts_as: list[int] | None = None,
) -> pa.Table:
    """Build the entries of quarantined rows. `errors` are names of error classes. `later` is true
    for an error whose cause may be gone later, such as a server that did not answer (default:
    false). `counts_as` has the number of rows that each entry stands for (default: 1)."""
    rows = len(errors)
    if later is None:
        later = pa.repeat(False, rows)
    hidden = pa.repeat(1, rows) if counts_as is None else pa.array(counts_as, pa.int64())
    columns = [ids, source, origin, pa.repeat(step, rows), errors, messages, later, hidden]
    return pa.table(dict(zip(QUARANTINED.names, columns, strict=True)), schema=QUARANTINED)
