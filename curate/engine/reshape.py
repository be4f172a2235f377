"""Runs one reshape step on one batch: the records that the step makes replace the batch's rows."""

from __future__ import annotations

import re
from collections import Counter
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.engine.halving import RaisedRows, halving
from curate.engine.outcomes import StepResult, counts, dropped_rows, failed_rows, no_errors
from curate.engine.planned import PlannedStep
from manifests import record
from manifests.errors import StepError
from manifests.run.ledger import Account
from manifests.step import Columns, Context, Reshaped, ReshapeStep, RowErrors

_ID = re.compile(r"[0-9a-f]{32}")


def run_reshape(
    planned: PlannedStep,
    batch: pa.Table,
    selected: pa.Table,
    mask: np.ndarray | None,
    context: Context,
    dropped_as: pa.Schema,
) -> StepResult:
    """Replace the rows selected by `mask` with the records that the step makes from them.
    `selected` has the selected rows; if `mask` is None, all rows are selected.

    In the result, the rows that are not selected come first. `dropped_as` is the schema of dropped
    rows in this pass.
    """
    step = planned.step
    assert isinstance(step, ReshapeStep)
    given = planned.given(selected, tuple(record.SCHEMA.names))

    def call(start: int, rows: int) -> _Made:
        block = given.slice(start, rows)
        return _made(planned, selected.slice(start, rows), step.reshape(block, context))

    def failed(row: int, error: Exception) -> _Made:
        errors = RowErrors(1)
        errors.add(0, error)
        nothing = _nothing(planned, selected)
        return nothing._replace(drop=pa.nulls(1, pa.string()), errors=errors.table)

    results = [_nothing(planned, selected)]
    if selected.num_rows:  # a step is never called without rows
        results += halving(planned, selected, call, failed, RaisedRows())
    made = pa.concat_tables([result.rows for result in results])
    _check_ids(planned, made)
    others = batch.slice(0, 0) if mask is None else batch.filter(pa.array(~mask))
    kept = pa.concat_tables([_with_measures(planned, others, {}), made])
    drop = pa.concat_arrays([result.drop for result in results])
    errors = pa.concat_tables([result.errors for result in results])
    is_failed = pc.is_valid(errors["kind"].combine_chunks())
    is_dropped = pc.and_not(drop.is_valid(), is_failed)
    reasons = drop.filter(is_dropped)
    quarantined = failed_rows(planned.name, selected.filter(is_failed), errors.filter(is_failed))
    account = Account(
        step=planned.name,
        rows_in=batch.num_rows,
        made=kept.num_rows + len(reasons) + quarantined.num_rows - batch.num_rows,
        kept=kept.num_rows,
        passed_over=others.num_rows,
        dropped=counts(reasons),
        quarantined=counts(quarantined["error"]),
    )
    dropped = dropped_rows(planned.name, selected.filter(is_dropped), reasons, dropped_as)
    return StepResult(kept, kept, dropped, quarantined, account)


class _Made(NamedTuple):
    """The results of a reshape step for some input rows. `rows` has the new records, with all
    columns of the pass. `drop` and `errors` have, for each input row, the reason or the error for
    which no record was made from it; both are null if records were made from the row."""

    rows: pa.Table
    drop: pa.Array
    errors: pa.Table


def _nothing(planned: PlannedStep, selected: pa.Table) -> _Made:
    rows = _with_measures(planned, selected.slice(0, 0), {})
    return _Made(rows, pa.nulls(0, pa.string()), no_errors(0))


def _made(planned: PlannedStep, given: pa.Table, answered: Reshaped) -> _Made:
    """Check and return the records that a reshape step made. Each record gets the measures of its
    parent, the input row that it was made from.

    Raises StepError if the records do not have the columns of the record schema, if a record has no
    parent among the input rows, if an input row was neither replaced nor removed, if an input row
    was both replaced and removed, or if the number or the type of the measures, drop reasons or
    errors is wrong.
    """
    place, rows = f"step {planned.name}", given.num_rows
    answered = _with_record_columns(answered, place)
    parents = np.asarray(answered.parents, np.int64)
    _check_parents(parents, answered.rows.num_rows, rows, place)
    drop = planned.reasons(answered.drop, rows)
    errors = no_errors(rows) if answered.errors is None else answered.errors.table
    planned.values(errors, "errors", rows)
    removed = np.asarray(drop.is_valid()) | np.asarray(pc.is_valid(errors["kind"]))
    _check_each_row(given["id"], np.bincount(parents, minlength=rows) > 0, removed, place)
    inherited = given.drop_columns(record.SCHEMA.names).take(pa.array(parents))
    new = answered.rows.cast(record.SCHEMA)
    for name in inherited.column_names:
        new = new.append_column(name, inherited[name])
    measures = planned.columns(dict(answered.measures), new.num_rows)
    return _Made(_with_measures(planned, new, measures), drop, errors)


def _with_record_columns(answered: Reshaped, place: str) -> Reshaped:
    """Return what a step returned, with the columns of its new records in the order of the record
    schema. Raises StepError if these records have other columns than the schema."""
    if not isinstance(answered, Reshaped):
        fault = f"the step returned a value of type {type(answered).__name__} instead of Reshaped"
        raise StepError(fault, place)
    if differ := sorted({*answered.rows.schema.names} ^ {*record.SCHEMA.names}):
        raise StepError(
            "the columns of the new records and those of manifests.record.SCHEMA differ in "
            f"{differ}",
            place,
        )
    return answered._replace(rows=answered.rows.select(record.SCHEMA.names))


def _check_parents(parents: np.ndarray, made: int, rows: int, place: str) -> None:
    """Raises StepError unless each of the `made` new records has one parent. A parent is the index
    of one of the `rows` input rows."""
    if len(parents) != made:
        raise StepError(
            f"the step returned {len(parents)} parents for {made} new records; each record needs "
            "one parent",
            place,
        )
    if len(parents) and not 0 <= parents.min() <= parents.max() < rows:
        raise StepError(
            f"the step returned a parent that is not the index of one of the {rows} input rows",
            place,
        )


def _check_each_row(
    ids: pa.ChunkedArray, replaced: np.ndarray, removed: np.ndarray, place: str
) -> None:
    """Raises StepError if an input row was neither replaced nor removed, or was both replaced and
    removed. `ids` has the ids of the input rows."""
    wrong = np.flatnonzero(replaced == removed)
    if not len(wrong):
        return
    key = ids[int(wrong[0])].as_py()
    if replaced[wrong[0]]:
        raise StepError(
            f"the step made new records from the record {key}, but also dropped it or gave an "
            "error for it",
            place,
        )
    raise StepError(
        f"the step made no new record from the record {key}, and gave neither a drop reason nor "
        "an error",
        place,
    )


def _with_measures(planned: PlannedStep, rows: pa.Table, measures: Columns) -> pa.Table:
    """Add the measures of a reshape step to the rows; a measure that is not in `measures` is
    null."""
    for name, kind in planned.measures.items():
        column = measures.get(name, pa.nulls(rows.num_rows, kind))
        rows = rows.append_column(pa.field(name, kind), column)
    return rows


def _check_ids(planned: PlannedStep, made: pa.Table) -> None:
    ids = made["id"].to_pylist()
    if wrong := [i for i in ids if i is None or not _ID.fullmatch(i)]:
        raise StepError(
            f"the step made a new record with the id {wrong[0]!r}, which is not 32 hex digits",
            f"step {planned.name}",
            "Keep the id of the record that it replaces, or make ids with record.child_ids.",
        )
    twice = [i for i, n in Counter(ids).items() if n > 1]
    if twice:
        raise StepError(
            f"the step made several new records with the same id {twice[0]}", f"step {planned.name}"
        )
