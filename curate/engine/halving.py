"""Finds the rows on which a step raises, hangs or crashes, by repeatedly cutting a batch that
fails."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import pyarrow as pa

from curate.engine import time_limit
from curate.engine.planned import PlannedStep
from curate.engine.step_errors import describe
from manifests.errors import CurateError, RowError, StepError, is_of_environment

T = TypeVar("T")

MAX_FAILED_ROWS = 16
"""If a step raises on more rows of one batch than this, the step itself is considered broken (our
choice). For a costly step, this is the limit for a file of records."""


_ENVIRONMENT = (
    "The cause is the installation or a limit of this machine, not a row: install what is missing, "
    "or raise the limit (such as `ulimit`). Then run the same command again."
)


class RaisedRows:
    """Counts the rows on which a step raised an error. The count of a costly step goes on over all
    batches of a file of records; the count of any other step starts from 0 in each batch."""

    count = 0


def halving(
    planned: PlannedStep,
    batch: pa.Table,
    call: Callable[[int, int], T],
    failed: Callable[[int, Exception], T],
    raised: RaisedRows,
) -> list[T]:
    """Calls `call(start, rows)` on blocks of rows of the batch, and returns the results in order.

    If nothing raises, the whole batch is one block. If `call` raises on a block, the block is
    halved repeatedly, until the block that fails is a single row; the result for this row is
    `failed(row, error)`. A block that takes longer than the limit on CPU time, or on which the
    process crashed, is cut into smaller blocks too. `raised` counts the rows that fail. Raises
    StepError if more than MAX_FAILED_ROWS rows fail, or if the step tries to end the process; any
    error that a single row does not cause is raised as it is.
    """
    results: list[T] = []
    limit = time_limit.current()
    waiting = limit.blocks(planned.name, 0, batch.num_rows)
    while waiting:
        start, rows = waiting.pop()
        try:
            results.append(limit.call(planned.name, start, rows, partial(call, start, rows)))
        except SystemExit as error:
            fault = "the step tried to end the process (it raised SystemExit)"
            raise StepError(fault, f"step {planned.name}") from error
        except Exception as error:  # any error that a single row causes in a step
            _reraise_unless_row(planned, error)
            if rows == 0:
                raise StepError(describe(planned, error), f"step {planned.name}") from error
            if rows == 1:
                raised.count += 1
                if raised.count > MAX_FAILED_ROWS:
                    raise _broken_step(planned, batch, start, error) from error
                results.append(failed(start, error))
            elif isinstance(error, time_limit.STOPPED):
                waiting += limit.blocks(planned.name, start, rows)
            else:
                half = rows // 2
                waiting += [(start + half, rows - half), (start, half)]
    return results


def _reraise_unless_row(planned: PlannedStep, error: Exception) -> None:
    """Raise the error again if it was not caused by a single row but, for example, by a full disk,
    too little memory, or a step that returns columns which it does not declare. Raise a StepError
    in its place if the installation or a limit of the machine caused it."""
    is_ours = isinstance(error, CurateError) and not isinstance(error, RowError)
    if is_ours or isinstance(error, MemoryError):
        raise error
    if is_of_environment(error):
        raise StepError(describe(planned, error), f"step {planned.name}", _ENVIRONMENT) from error


def _broken_step(planned: PlannedStep, batch: pa.Table, row: int, error: Exception) -> StepError:
    return StepError(
        describe(planned, error),
        f"step {planned.name}",
        f"The step failed on more than {MAX_FAILED_ROWS} rows; the last of these rows is from "
        f"{batch['origin'][row].as_py()}.",
    )
