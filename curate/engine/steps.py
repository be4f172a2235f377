"""Run one row or reshape step on one batch. If it raises on a row, only that row is quarantined."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeVar

import numpy as np
import pyarrow as pa

from curate.engine.outcomes import StepResult, apply_outcome, expand, failed_rows
from curate.engine.planned import PlannedStep
from manifests.errors import CurateError, RowError, StepError
from manifests.media import Media
from manifests.run.ledger import Account
from manifests.step import Outcome, ReshapeStep, RowStep

T = TypeVar("T")

MAX_FAILED_ROWS = 16
"""If a step fails on more rows of one batch than this, the step itself is broken (ours)."""
_ROW_ERRORS = (CurateError, ArithmeticError, LookupError, TypeError, ValueError)
"""Errors that one bad row may cause in a step; any other error stops the run."""


def run_step(
    planned: PlannedStep, batch: pa.Table, media: Media, dropped_as: pa.Schema
) -> StepResult:
    """Run a step on the rows of the batch that its `only` selects; the other rows are kept.

    `dropped_as`: the schema of dropped rows in this pass.
    """
    mask = planned.row_mask(batch)
    selected = batch if mask is None else batch.filter(pa.array(mask))
    if isinstance(planned.step, ReshapeStep):
        return _reshape(planned, batch, selected, mask, media, dropped_as)
    outcome = _outcome(planned, selected, media)
    if mask is not None:
        outcome = expand(outcome, mask, batch)
    return apply_outcome(planned.name, batch, outcome, dropped_as)


def _outcome(planned: PlannedStep, batch: pa.Table, media: Media) -> Outcome:
    """The checked outcome of a row step for every row of the batch."""
    step = planned.step
    assert isinstance(step, RowStep)

    def call(rows: pa.Table) -> Outcome:
        return planned.checked(step(rows, media), rows.num_rows)

    return _concat(_row_by_row(planned, batch, call, partial(_failed_outcome, planned)))


def _row_by_row(
    planned: PlannedStep,
    batch: pa.Table,
    call: Callable[[pa.Table], T],
    failed: Callable[[pa.Table, Exception], T],
) -> list[T]:
    """Results of `call`: one for the batch or, if that raises, one for each row.

    A row on which `call` raises again gets the result of `failed`.
    """
    try:
        return [call(batch)]
    except _ROW_ERRORS as error:
        _reraise_unless_row(error)
        first = error
    if not batch.num_rows:
        raise StepError(f"{type(first).__name__}: {first}", f"step {planned.name}") from first
    results, failures = [], 0
    for number in range(batch.num_rows):
        row = batch.slice(number, 1)
        try:
            results.append(call(row))
        except _ROW_ERRORS as error:
            _reraise_unless_row(error)
            failures += 1
            if failures > MAX_FAILED_ROWS:
                raise _broken_step(planned, batch, first) from first
            results.append(failed(row, error))
    return results


def _reraise_unless_row(error: Exception) -> None:
    """Raise an error again that no single row causes, such as a full disk or a broken contract."""
    if isinstance(error, CurateError) and not isinstance(error, RowError):
        raise error


def _broken_step(planned: PlannedStep, batch: pa.Table, first: Exception) -> StepError:
    return StepError(
        f"{type(first).__name__}: {first}",
        f"step {planned.name}",
        f"It failed on more than {MAX_FAILED_ROWS} rows of one batch, the first from "
        f"{batch['origin'][0].as_py()}.",
    )


def _failed_outcome(planned: PlannedStep, row: pa.Table, error: Exception) -> Outcome:
    """The outcome for one row on which the step raised: no measures, and the error."""
    columns: dict[str, pa.Array] = {n: pa.nulls(1, t) for n, t in planned.measures.items()}
    columns |= {name: row[name].combine_chunks() for name in planned.step.rewrites}
    return Outcome(columns, pa.nulls(1, pa.string()), _message(error))


def _message(error: Exception) -> pa.Array:
    return pa.array([f"{type(error).__name__}: {error}"])


def _concat(outcomes: list[Outcome]) -> Outcome:
    if len(outcomes) == 1:
        return outcomes[0]
    names = outcomes[0].columns
    return Outcome(
        {n: pa.concat_arrays([o.columns[n] for o in outcomes]) for n in names},
        pa.concat_arrays([o.drop for o in outcomes]),
        pa.concat_arrays([o.error for o in outcomes]),
    )


class _Reshaped(NamedTuple):
    """What a reshape step made of some rows.

    `errors`: for each row it was given, why it failed; null where it did not.
    """

    rows: pa.Table
    errors: pa.Array


def _reshape(
    planned: PlannedStep,
    batch: pa.Table,
    selected: pa.Table,
    mask: np.ndarray | None,
    media: Media,
    dropped_as: pa.Schema,
) -> StepResult:
    """Replace the selected rows by those the step makes; rows outside the mask come first."""
    step = planned.step
    assert isinstance(step, ReshapeStep)

    def call(rows: pa.Table) -> _Reshaped:
        return _Reshaped(step(rows, media), pa.nulls(rows.num_rows, pa.string()))

    results = _row_by_row(planned, selected, call, _failed_reshape)
    made = _checked(planned, pa.concat_tables([r.rows for r in results]), batch.schema)
    kept = made if mask is None else pa.concat_tables([batch.filter(pa.array(~mask)), made])
    errors = pa.concat_arrays([r.errors for r in results])
    failed = errors.is_valid()
    quarantined = failed_rows(planned.name, selected.filter(failed), errors.filter(failed))
    account = Account(
        step=planned.name,
        rows_in=batch.num_rows,
        made=kept.num_rows + quarantined.num_rows - batch.num_rows,
        kept=kept.num_rows,
        quarantined={"RowError": quarantined.num_rows} if quarantined.num_rows else {},
    )
    return StepResult(kept, kept, dropped_as.empty_table(), quarantined, account)


def _failed_reshape(row: pa.Table, error: Exception) -> _Reshaped:
    return _Reshaped(row.slice(0, 0), _message(error))


def _checked(planned: PlannedStep, made: pa.Table, schema: pa.Schema) -> pa.Table:
    """The rows that a reshape step made. Raises StepError on other columns, or an id made twice."""
    if made.schema.names != schema.names:
        differ = sorted(set(made.schema.names) ^ set(schema.names))
        raise StepError(f"made rows of other columns than it was given: {differ}", planned.name)
    twice = [i for i, n in Counter(made["id"].to_pylist()).items() if n > 1]
    if twice:
        raise StepError(f"made several records with the id {twice[0]}", f"step {planned.name}")
    return made.cast(schema)
