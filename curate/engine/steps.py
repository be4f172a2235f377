"""Runs one row or reshape step on one batch. If the step raises an error on a few rows, only these
rows are quarantined."""

from __future__ import annotations

from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from curate.engine import time_limit
from curate.engine.halving import RaisedRows, halving
from curate.engine.outcomes import (
    Answer,
    StepResult,
    apply_answer,
    expand,
    no_errors,
)
from curate.engine.planned import PlannedStep
from curate.engine.reshape import run_reshape
from curate.engine.step_errors import naming
from manifests import record
from manifests.errors import StepError
from manifests.step import (
    Columns,
    Context,
    Measured,
    ReshapeStep,
    RowErrors,
    RowStep,
)


def run_step(
    planned: PlannedStep, batch: pa.Table, context: Context, dropped_as: pa.Schema
) -> StepResult:
    """Run a step on the rows of the batch that the step's setting `only` selects; the other rows
    are kept.

    `dropped_as` is the schema of dropped rows in this pass.
    """
    mask = planned.row_mask(batch)
    selected = batch if mask is None else batch.filter(pa.array(mask))
    if isinstance(planned.step, ReshapeStep):
        return run_reshape(planned, batch, selected, mask, context, dropped_as)
    columns, errors = measure(planned, selected, context)
    answer = Answer(columns, decide(planned, columns, selected.num_rows), errors)
    if mask is not None:
        answer = expand(answer, mask, batch)
    passed_over = batch.num_rows - selected.num_rows
    return apply_answer(planned.name, batch, answer, dropped_as, passed_over)


def measure(
    planned: PlannedStep, batch: pa.Table, context: Context, raised: RaisedRows | None = None
) -> tuple[Columns, pa.Table]:
    """Return the measures and rewritten columns of a row step, and a table with the error of each
    row. There is a limit on the number of rows on which the step raises an error. `raised` counts
    these rows over several batches; if `raised` is None, only the rows of this batch are
    counted."""
    step = planned.without_bounds()
    assert isinstance(step, RowStep)
    if not batch.num_rows:  # a step is never called without rows
        return _no_measures(planned), no_errors(0)
    given = planned.given(batch)

    def call(start: int, rows: int) -> tuple[Columns, pa.Table]:
        return _checked(planned, step.measure(given.slice(start, rows), context), rows)

    def failed(row: int, error: Exception) -> tuple[Columns, pa.Table]:
        errors = RowErrors(1)
        errors.add(0, error)
        return _no_measures(planned, rows=1), errors.table

    results = halving(planned, batch, call, failed, raised or RaisedRows())
    if len(results) == 1:
        columns, errors = results[0]
    else:
        names = results[0][0]
        columns = {n: pa.concat_arrays([columns[n] for columns, _ in results]) for n in names}
        errors = pa.concat_tables([errors for _, errors in results])
    return _without_failed(columns, step.rewrites, batch, errors), errors


def _no_measures(planned: PlannedStep, rows: int = 0) -> Columns:
    """Return the columns that the step would return, filled with nulls."""
    rewrites = {name: record.SCHEMA.field(name).type for name in planned.step.rewrites}
    return {name: pa.nulls(rows, kind) for name, kind in {**planned.measures, **rewrites}.items()}


def decide(planned: PlannedStep, columns: Columns, rows: int) -> pa.Array:
    """Returns string (rows,): the drop reasons that a row step decides from the columns that it
    measured; null for a row that stays."""
    step = planned.step
    assert isinstance(step, RowStep)
    own = {name.removeprefix(f"{planned.name}."): column for name, column in columns.items()}
    if not own:
        return planned.reasons(None, rows)
    work = partial(step.decide, pa.table(own))
    with naming(planned, "decide"):
        drop = time_limit.current().call(f"{planned.name}.decide", 0, rows, work)
    return planned.reasons(drop, rows)


def _checked(
    planned: PlannedStep, answered: Columns | Measured, rows: int
) -> tuple[Columns, pa.Table]:
    columns, errors = answered if isinstance(answered, Measured) else (answered, None)
    if not isinstance(columns, dict):
        kind = type(columns).__name__
        raise StepError(
            f"the step returned a value of type {kind} instead of a dict of columns",
            f"step {planned.name}",
        )
    found = no_errors(rows) if errors is None else errors.table
    planned.values(found, "errors", rows)
    return planned.columns(columns, rows), found


def _without_failed(
    columns: Columns, rewrites: tuple[str, ...], batch: pa.Table, errors: pa.Table
) -> Columns:
    """Return the columns that a step returned, changed in the rows with an error. In these rows,
    the step's own new columns (measures) become null, and the columns that the step rewrites keep
    their old values."""
    failed = pc.is_valid(errors["kind"].combine_chunks())
    if not pc.any(failed).as_py():
        return columns
    others = {
        name: record.one_chunk(batch[name]) if name in rewrites else pa.scalar(None, column.type)
        for name, column in columns.items()
    }
    return {name: pc.if_else(failed, others[name], column) for name, column in columns.items()}
