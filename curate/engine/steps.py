"""Run one row or reshape step on one batch. If it raises on a row, only that row is quarantined."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.engine.outcomes import (
    Answer,
    StepResult,
    apply_answer,
    counts,
    dropped_rows,
    expand,
    failed_rows,
    no_errors,
)
from curate.engine.planned import PlannedStep
from curate.engine.step_errors import describe, naming
from manifests import record
from manifests.errors import CurateError, RowError, StepError
from manifests.run.ledger import Account
from manifests.step import (
    Columns,
    Context,
    Measured,
    Reshaped,
    ReshapeStep,
    RowErrors,
    RowStep,
)

T = TypeVar("T")

MAX_FAILED_ROWS = 16
"""A step that raises on more rows of one batch than this is itself broken (ours)."""


def run_step(
    planned: PlannedStep, batch: pa.Table, context: Context, dropped_as: pa.Schema
) -> StepResult:
    """Run a step on the rows of the batch that its `only` selects; the other rows are kept.

    `dropped_as`: the schema of dropped rows in this pass.
    """
    mask = planned.row_mask(batch)
    selected = batch if mask is None else batch.filter(pa.array(mask))
    if isinstance(planned.step, ReshapeStep):
        return _reshape(planned, batch, selected, mask, context, dropped_as)
    columns, errors = measure(planned, selected, context)
    answer = Answer(columns, decide(planned, columns, selected.num_rows), errors)
    if mask is not None:
        answer = expand(answer, mask, batch)
    passed_over = batch.num_rows - selected.num_rows
    return apply_answer(planned.name, batch, answer, dropped_as, passed_over)


class RaisedRows:
    """Counts the rows on which a step raised: over a part for a costly step, else over a batch."""

    count = 0


def measure(
    planned: PlannedStep, batch: pa.Table, context: Context, raised: RaisedRows | None = None
) -> tuple[Columns, pa.Table]:
    """The measures and rewritten columns of a row step for every row, and the rows it failed on."""
    step = planned.without_bounds()
    assert isinstance(step, RowStep)
    if not batch.num_rows:  # a step is never asked about nothing
        return _no_measures(planned), no_errors(0)
    given = planned.given(batch)

    def call(start: int, rows: int) -> tuple[Columns, pa.Table]:
        return _checked(planned, step.measure(given.slice(start, rows), context), rows)

    def failed(row: int, error: Exception) -> tuple[Columns, pa.Table]:
        errors = RowErrors(1)
        errors.add(0, error)
        return _no_measures(planned, rows=1), errors.table

    results = _halving(planned, batch, call, failed, raised or RaisedRows())
    if len(results) == 1:
        columns, errors = results[0]
    else:
        names = results[0][0]
        columns = {n: pa.concat_arrays([columns[n] for columns, _ in results]) for n in names}
        errors = pa.concat_tables([errors for _, errors in results])
    return _without_failed(columns, step.rewrites, batch, errors), errors


def _no_measures(planned: PlannedStep, rows: int = 0) -> Columns:
    """Nulls in every column that the step answers with."""
    rewrites = {name: record.SCHEMA.field(name).type for name in planned.step.rewrites}
    return {name: pa.nulls(rows, kind) for name, kind in {**planned.measures, **rewrites}.items()}


def decide(planned: PlannedStep, columns: Columns, rows: int) -> pa.Array:
    """string (rows,): the drop reasons of a row step, by the columns it measured."""
    step = planned.step
    assert isinstance(step, RowStep)
    own = {name.removeprefix(f"{planned.name}."): column for name, column in columns.items()}
    if not own:
        return planned.reasons(None, rows)
    with naming(planned, "decide"):
        drop = step.decide(pa.table(own))
    return planned.reasons(drop, rows)


def _checked(
    planned: PlannedStep, answered: Columns | Measured, rows: int
) -> tuple[Columns, pa.Table]:
    columns, errors = answered if isinstance(answered, Measured) else (answered, None)
    if not isinstance(columns, dict):
        kind = type(columns).__name__
        raise StepError(f"answered with a {kind}, not with columns", f"step {planned.name}")
    found = no_errors(rows) if errors is None else errors.table
    planned.values(found, "errors", rows)
    return planned.columns(columns, rows), found


def _without_failed(
    columns: Columns, rewrites: tuple[str, ...], batch: pa.Table, errors: pa.Table
) -> Columns:
    """The columns, changed for rows on which the step failed: their measures are null, and columns
    that the step rewrites keep their old values."""
    failed = pc.is_valid(errors["kind"].combine_chunks())
    if not pc.any(failed).as_py():
        return columns
    others = {
        name: record.one_chunk(batch[name]) if name in rewrites else pa.scalar(None, column.type)
        for name, column in columns.items()
    }
    return {name: pc.if_else(failed, others[name], column) for name, column in columns.items()}


def _halving(
    planned: PlannedStep,
    batch: pa.Table,
    call: Callable[[int, int], T],
    failed: Callable[[int, Exception], T],
    raised: RaisedRows,
) -> list[T]:
    """The results of `call(start, rows)` for blocks of rows, in order: one block if nothing raises.

    A block on which `call` raises is cut in two, again and again, until it is a single row. The
    result for that row is `failed(row, error)`.
    """
    results: list[T] = []
    waiting = [(0, batch.num_rows)]
    while waiting:
        start, rows = waiting.pop()
        try:
            results.append(call(start, rows))
            continue
        except MemoryError:
            raise
        except SystemExit as error:
            raise StepError("it ends the process (SystemExit)", f"step {planned.name}") from error
        except Exception as error:  # whatever a row provokes in a step is the row's
            _reraise_unless_row(error)
            if rows == 0:
                raise StepError(describe(planned, error), f"step {planned.name}") from error
            if rows == 1:
                raised.count += 1
                if raised.count > MAX_FAILED_ROWS:
                    raise _broken_step(planned, batch, start, error) from error
                results.append(failed(start, error))
                continue
        half = rows // 2
        waiting += [(start + half, rows - half), (start, half)]
    return results


def _reraise_unless_row(error: Exception) -> None:
    """Raise the error again if it is not caused by a single row: a full disk, a broken contract."""
    if isinstance(error, CurateError) and not isinstance(error, RowError):
        raise error


def _broken_step(planned: PlannedStep, batch: pa.Table, row: int, error: Exception) -> StepError:
    return StepError(
        describe(planned, error),
        f"step {planned.name}",
        f"It failed on more than {MAX_FAILED_ROWS} rows of one batch, the last from "
        f"{batch['origin'][row].as_py()}.",
    )


class _Made(NamedTuple):
    """What a reshape step made from some rows: records with all columns of the pass; and for each
    input row a drop reason or an error, null if records were made from it."""

    rows: pa.Table
    drop: pa.Array
    errors: pa.Table


def _reshape(
    planned: PlannedStep,
    batch: pa.Table,
    selected: pa.Table,
    mask: np.ndarray | None,
    context: Context,
    dropped_as: pa.Schema,
) -> StepResult:
    """Replace the selected rows by those the step makes; rows outside the mask come first."""
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
    if selected.num_rows:  # a step is never asked about nothing
        results += _halving(planned, selected, call, failed, RaisedRows())
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


def _nothing(planned: PlannedStep, selected: pa.Table) -> _Made:
    rows = _with_measures(planned, selected.slice(0, 0), {})
    return _Made(rows, pa.nulls(0, pa.string()), no_errors(0))


def _made(planned: PlannedStep, given: pa.Table, answered: Reshaped) -> _Made:
    """The records that a reshape step made, checked; each also gets the measures of its parent.

    Raises StepError if the records do not have the record schema, or if a row has no answer.
    """
    place = f"step {planned.name}"
    if not isinstance(answered, Reshaped):
        raise StepError(f"answered with a {type(answered).__name__}, not a Reshaped", place)
    if set(answered.rows.schema.names) == set(record.SCHEMA.names):
        answered = answered._replace(rows=answered.rows.select(record.SCHEMA.names))
    if answered.rows.schema.names != record.SCHEMA.names:
        differ = sorted(set(answered.rows.schema.names) ^ set(record.SCHEMA.names))
        raise StepError(
            f"the columns of its new records differ from the record schema in {differ}", place
        )
    rows, parents = given.num_rows, np.asarray(answered.parents, np.int64)
    if len(parents) != answered.rows.num_rows:
        raise StepError(f"{len(parents)} parents for {answered.rows.num_rows} new records", place)
    if len(parents) and not 0 <= parents.min() <= parents.max() < rows:
        raise StepError(f"a parent is not the number of one of the {rows} input rows", place)
    drop = planned.reasons(answered.drop, rows)
    errors = no_errors(rows) if answered.errors is None else answered.errors.table
    planned.values(errors, "errors", rows)
    replaced = np.bincount(parents, minlength=rows) > 0
    removed = np.asarray(drop.is_valid()) | np.asarray(pc.is_valid(errors["kind"]))
    if (wrong := replaced == removed).any():
        row = int(np.flatnonzero(wrong)[0])
        key = given["id"][row].as_py()
        if replaced[row]:
            raise StepError(f"made records from {key}, and removed it as well", place)
        raise StepError(f"made no record from {key}, and gave no reason to drop it", place)
    inherited = given.drop_columns(record.SCHEMA.names).take(pa.array(parents))
    columns = {name: inherited[name] for name in inherited.column_names}
    new = answered.rows.cast(record.SCHEMA)
    for name, column in columns.items():
        new = new.append_column(name, column)
    measures = planned.columns(dict(answered.measures), new.num_rows)
    return _Made(_with_measures(planned, new, measures), drop, errors)


def _with_measures(planned: PlannedStep, rows: pa.Table, measures: Columns) -> pa.Table:
    """The rows with the measures of a reshape step; measures that are not given are null."""
    for name, kind in planned.measures.items():
        column = measures.get(name, pa.nulls(rows.num_rows, kind))
        rows = rows.append_column(pa.field(name, kind), column)
    return rows


def _check_ids(planned: PlannedStep, made: pa.Table) -> None:
    twice = [i for i, n in Counter(made["id"].to_pylist()).items() if n > 1]
    if twice:
        raise StepError(f"made several records with the id {twice[0]}", f"step {planned.name}")
