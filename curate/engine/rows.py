"""Apply row and reshape steps to a batch: annotate, then select, and account for every row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.engine.planned import PlannedStep
from manifests.errors import CurateError, RowError, StepError
from manifests.media import Media
from manifests.run.ledger import Account
from manifests.step import Outcome, ReshapeStep, RowStep

GONE = [("id", pa.string()), ("source", pa.string()), ("origin", pa.string())]
QUARANTINED = pa.schema(
    [*GONE, ("step", pa.string()), ("error", pa.string()), ("message", pa.string())]
)
T = TypeVar("T")

MOST_BROKEN_ROWS = 16
"""A step that fails on more rows of one batch than this is broken itself (ours)."""


class Answer(NamedTuple):
    """What is left of a batch after a step, and what is not."""

    kept: pa.Table
    dropped: pa.Table
    quarantined: pa.Table
    account: Account


def dropped_schema(part: pa.Schema) -> pa.Schema:
    """The dropped rows' columns: who, which step, why, and every measure taken so far."""
    measures = [field for field in part if "." in field.name]
    return pa.schema([*GONE, ("step", pa.string()), ("reason", pa.string()), *measures])


def quarantine_rows(
    ids: pa.Array, source: pa.Array, origin: pa.Array, step: str, errors: list[str], why: list[str]
) -> pa.Table:
    rows = len(errors)
    columns = [ids, source, origin, pa.repeat(step, rows), errors, why]
    return pa.table(dict(zip(QUARANTINED.names, columns, strict=True)), schema=QUARANTINED)


def answer(planned: PlannedStep, batch: pa.Table, media: Media, gone: pa.Schema) -> Answer:
    """Run one step on one batch. `gone` is the schema of dropped rows in this pass."""
    mask = planned.concerns(batch)
    mine = batch if mask is None else batch.filter(pa.array(mask))
    if isinstance(planned.step, ReshapeStep):
        return _reshaped(planned, batch, mine, mask, media, gone)
    outcome = judged(planned, mine, media)
    if mask is not None:
        outcome = spread(outcome, mask, batch)
    return select(planned.name, batch, outcome, gone)


def judged(planned: PlannedStep, batch: pa.Table, media: Media) -> Outcome:
    """The step's checked outcome; rows on which it raises are told apart, one by one."""
    step = planned.step
    assert isinstance(step, RowStep)

    def answer(rows: pa.Table) -> Outcome:
        return planned.checked(step(rows, media), rows.num_rows)

    return _joined(_answered(planned, batch, answer, partial(_unanswered, planned)))


def _answered(
    planned: PlannedStep,
    batch: pa.Table,
    answer: Callable[[pa.Table], T],
    failed: Callable[[pa.Table, Exception], T],
) -> list[T]:
    """The answer to the batch; where there is an error, one to each row, or that it `failed`."""
    try:
        return [answer(batch)]
    except _OF_A_ROW as error:
        _check_of_a_row(error)
        first = error
    if not batch.num_rows:
        raise StepError(f"{type(first).__name__}: {first}", f"step {planned.name}") from first
    answers, broken = [], 0
    for row in range(batch.num_rows):
        one = batch.slice(row, 1)
        try:
            answers.append(answer(one))
        except _OF_A_ROW as error:
            _check_of_a_row(error)
            broken += 1
            if broken > MOST_BROKEN_ROWS:
                raise StepError(
                    f"{type(first).__name__}: {first}", f"step {planned.name}",
                    f"It failed on more than {MOST_BROKEN_ROWS} rows of one batch, the first from "
                    f"{batch['origin'][0].as_py()}.",
                ) from first  # fmt: skip
            answers.append(failed(one, error))
    return answers


_OF_A_ROW = (CurateError, ArithmeticError, LookupError, TypeError, ValueError)


def _check_of_a_row(error: Exception) -> None:
    """Raises the error again where it is the fault of no row."""
    if isinstance(error, CurateError) and not isinstance(error, RowError):
        raise error


def _unanswered(planned: PlannedStep, one: pa.Table, error: Exception) -> Outcome:
    nulls: dict[str, pa.Array] = {n: pa.nulls(1, t) for n, t in planned.measures.items()}
    nulls |= {name: one[name].combine_chunks() for name in planned.step.rewrites}
    said = pa.array([f"{type(error).__name__}: {error}"])
    return Outcome(nulls, pa.nulls(1, pa.string()), said)


def _joined(outcomes: list[Outcome]) -> Outcome:
    if len(outcomes) == 1:
        return outcomes[0]
    names = outcomes[0].columns
    return Outcome(
        {n: pa.concat_arrays([o.columns[n] for o in outcomes]) for n in names},
        pa.concat_arrays([o.drop for o in outcomes]),
        pa.concat_arrays([o.error for o in outcomes]),
    )


def spread(outcome: Outcome, mask: np.ndarray, batch: pa.Table) -> Outcome:
    """An outcome for some rows as one for all: the others get nulls, or what they had."""
    at = pa.array(np.cumsum(mask) - 1, mask=~mask)

    def whole(name: str, column: pa.Array) -> pa.Array:
        spread = column.take(at)
        if name not in batch.column_names:
            return spread
        return pc.if_else(pa.array(mask), spread, batch[name].combine_chunks())

    columns = {name: whole(name, column) for name, column in outcome.columns.items()}
    assert outcome.drop is not None
    assert outcome.error is not None
    return Outcome(columns, outcome.drop.take(at), outcome.error.take(at))


def annotated(batch: pa.Table, columns: dict[str, pa.Array]) -> pa.Table:
    """The batch with these columns added, or replaced."""
    for name, values in columns.items():
        at = batch.schema.get_field_index(name)
        batch = batch.append_column(name, values) if at < 0 else batch.set_column(at, name, values)
    return batch


def select(name: str, batch: pa.Table, outcome: Outcome, gone: pa.Schema) -> Answer:
    """Add the columns, take the rows that go, and keep their reasons and measures."""
    batch = annotated(batch, outcome.columns)
    assert outcome.drop is not None
    assert outcome.error is not None
    if outcome.drop.null_count + outcome.error.null_count == 2 * batch.num_rows:
        return Answer(
            batch,
            gone.empty_table(),
            QUARANTINED.empty_table(),
            Account(step=name, rows_in=batch.num_rows, kept=batch.num_rows),
        )
    failed = outcome.error.is_valid()
    drops = pc.and_not(outcome.drop.is_valid(), failed)
    kept = batch.filter(pc.invert(pc.or_(failed, drops)))
    reasons, errors = outcome.drop.filter(drops), outcome.error.filter(failed)
    account = Account(
        step=name,
        rows_in=batch.num_rows,
        kept=kept.num_rows,
        dropped=counts(reasons),
        quarantined={"RowError": len(errors)} if len(errors) else {},
    )
    return Answer(
        kept,
        dropped_rows(name, batch.filter(drops), reasons, gone),
        _failed(name, batch.filter(failed), errors),
        account,
    )


def counts(values: pa.Array) -> dict[str, int]:
    """How often each value comes, by value."""
    return dict(sorted((v["values"], v["counts"]) for v in pc.value_counts(values).to_pylist()))


def dropped_rows(name: str, rows: pa.Table, reasons: pa.Array, gone: pa.Schema) -> pa.Table:
    given = {"step": pa.repeat(name, rows.num_rows), "reason": reasons}
    columns = [
        given[f.name] if f.name in given
        else rows[f.name] if f.name in rows.column_names
        else pa.nulls(rows.num_rows, f.type)
        for f in gone
    ]  # fmt: skip
    return pa.table(columns, schema=gone)


def _failed(name: str, rows: pa.Table, errors: pa.Array) -> pa.Table:
    kinds = ["RowError"] * rows.num_rows
    who = (rows["id"], rows["source"], rows["origin"])
    return quarantine_rows(*who, name, kinds, errors)


def _reshaped(
    planned: PlannedStep,
    batch: pa.Table,
    mine: pa.Table,
    mask: np.ndarray | None,
    media: Media,
    gone: pa.Schema,
) -> Answer:
    step = planned.step
    assert isinstance(step, ReshapeStep)

    def answer(rows: pa.Table) -> _Made:
        return _Made(step(rows, media), pa.nulls(rows.num_rows, pa.string()))

    answers = _answered(planned, mine, answer, _unmade)
    made = pa.concat_tables([one.rows for one in answers])
    if made.schema.names != batch.schema.names:
        said = sorted(set(made.schema.names) ^ set(batch.schema.names))
        raise StepError(f"made rows of other columns than it was given: {said}", planned.name)
    twice = [i for i, n in Counter(made["id"].to_pylist()).items() if n > 1]
    if twice:
        raise StepError(f"made several records of id {twice[0]}", f"step {planned.name}")
    made = made.cast(batch.schema)
    kept = made if mask is None else pa.concat_tables([batch.filter(pa.array(~mask)), made])
    errors = pa.concat_arrays([one.errors for one in answers])
    failed = errors.is_valid()
    lost = _failed(planned.name, mine.filter(failed), errors.filter(failed))
    account = Account(
        step=planned.name,
        rows_in=batch.num_rows,
        made=kept.num_rows + lost.num_rows - batch.num_rows,
        kept=kept.num_rows,
        quarantined={"RowError": lost.num_rows} if lost.num_rows else {},
    )
    return Answer(kept, gone.empty_table(), lost, account)


class _Made(NamedTuple):
    """What a reshape step made of some rows, and why it could not of each, null where it could."""

    rows: pa.Table
    errors: pa.Array


def _unmade(one: pa.Table, error: Exception) -> _Made:
    return _Made(one.slice(0, 0), pa.array([f"{type(error).__name__}: {error}"]))
