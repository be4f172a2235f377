"""Apply the outcome of a step to a batch: add its columns, remove rows, account for every row."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.engine.part_view import with_columns
from manifests.run.ledger import Account
from manifests.step import Outcome

ID_COLUMNS = [("id", pa.string()), ("source", pa.string()), ("origin", pa.string())]
"""The columns that identify a removed row."""
QUARANTINED = pa.schema(
    [*ID_COLUMNS, ("step", pa.string()), ("error", pa.string()), ("message", pa.string())]
)
"""The columns of a quarantined row."""


class StepResult(NamedTuple):
    """The rows of a batch after a step.

    `annotated`: all rows with the columns that the step adds; `kept`: those that are not removed.
    """

    annotated: pa.Table
    kept: pa.Table
    dropped: pa.Table
    quarantined: pa.Table
    account: Account


def dropped_schema(part: pa.Schema) -> pa.Schema:
    """The columns of a dropped row: its identity, the step, the reason, and all measures so far."""
    measures = [field for field in part if "." in field.name]
    return pa.schema([*ID_COLUMNS, ("step", pa.string()), ("reason", pa.string()), *measures])


def apply_outcome(
    name: str, batch: pa.Table, outcome: Outcome, dropped_as: pa.Schema
) -> StepResult:
    """Add the outcome's columns to the batch and remove the rows it drops or quarantines.

    The outcome has been checked (`PlannedStep.checked`). A row with an error and a drop reason is
    quarantined. `dropped_as`: the schema of dropped rows in this pass.
    """
    assert outcome.drop is not None
    assert outcome.error is not None
    annotated = with_columns(batch, outcome.columns)
    failed = outcome.error.is_valid()
    dropped = pc.and_not(outcome.drop.is_valid(), failed)
    removed = pc.or_(failed, dropped)
    kept = annotated.filter(pc.invert(removed)) if pc.any(removed).as_py() else annotated
    reasons, messages = outcome.drop.filter(dropped), outcome.error.filter(failed)
    return StepResult(
        annotated,
        kept,
        dropped_rows(name, annotated.filter(dropped), reasons, dropped_as),
        failed_rows(name, annotated.filter(failed), messages),
        Account(
            step=name,
            rows_in=batch.num_rows,
            kept=kept.num_rows,
            dropped=_counts(reasons),
            quarantined={"RowError": len(messages)} if len(messages) else {},
        ),
    )


def expand(outcome: Outcome, mask: np.ndarray, batch: pa.Table) -> Outcome:
    """An outcome for the rows that a mask selects, made into one for all rows of the batch.

    The other rows get nulls; a column that the step rewrites keeps their values:
    drop ["short"] with mask [False, True] -> drop [None, "short"].
    """
    at = pa.array(np.cumsum(mask) - 1, mask=~mask)

    def expanded(name: str, column: pa.Array) -> pa.Array:
        values = column.take(at)
        if name not in batch.column_names:
            return values
        return pc.if_else(pa.array(mask), values, batch[name].combine_chunks())

    assert outcome.drop is not None
    assert outcome.error is not None
    columns = {name: expanded(name, column) for name, column in outcome.columns.items()}
    return Outcome(columns, outcome.drop.take(at), outcome.error.take(at))


def _counts(values: pa.Array) -> dict[str, int]:
    """How often each value occurs, sorted by value."""
    return dict(sorted((v["values"], v["counts"]) for v in pc.value_counts(values).to_pylist()))


def dropped_rows(name: str, rows: pa.Table, reasons: pa.Array, schema: pa.Schema) -> pa.Table:
    """Dropped rows in the schema of a pass; measures of later steps are null."""
    given = {"step": pa.repeat(name, rows.num_rows), "reason": reasons}
    columns = [
        given[f.name] if f.name in given
        else rows[f.name] if f.name in rows.column_names
        else pa.nulls(rows.num_rows, f.type)
        for f in schema
    ]  # fmt: skip
    return pa.table(columns, schema=schema)


def failed_rows(name: str, rows: pa.Table, messages: pa.Array) -> pa.Table:
    """Rows that a step could not judge, as rows of the quarantine."""
    identity = (rows["id"], rows["source"], rows["origin"])
    return quarantine_rows(*identity, name, ["RowError"] * rows.num_rows, messages)


def quarantine_rows(
    ids: pa.Array,
    source: pa.Array,
    origin: pa.Array,
    step: str,
    errors: list[str],
    messages: list[str] | pa.Array,
) -> pa.Table:
    """Rows of the quarantine; `errors` are names of error classes."""
    columns = [ids, source, origin, pa.repeat(step, len(errors)), errors, messages]
    return pa.table(dict(zip(QUARANTINED.names, columns, strict=True)), schema=QUARANTINED)
