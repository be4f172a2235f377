"""Finds what the steps of one pass did with a record, from its rows before and after the pass."""

from __future__ import annotations

from typing import Any, NamedTuple

import pyarrow as pa

from curate.engine.planned import selected
from curate.inspect.find_record import Identity, StoredRow, is_reshape
from manifests.run.file_names import PART

PASSED_OVER = "passed over"
MAY_SUCCEED = "may succeed (the error is transient)"
"""The note shown with an input that has a transient error: `curate run --retry` processes it
again."""


class Event(NamedTuple):
    """What one step did with the record: `Event("words", "dropped", {"words.count": 1})`.

    `facts` explains why: the measures, settings or errors of the step.
    """

    step: str
    what: str
    facts: dict[str, Any]


def of_kept(steps: list[Identity], before: pa.Table, after: pa.Table) -> list[Event]:
    """Return an event for each step of a pass that did not remove the record: either the step kept
    the record, or the setting `only` of the step did not select the record. `before` and `after`
    are the record's row before and after the pass."""
    return [_kept(steps, number, before, after) for number in range(len(steps))]


def of_removed(
    steps: list[Identity], before: pa.Table, removed: StoredRow, after: pa.Table | None = None
) -> list[Event]:
    """Return the events of the steps that kept a record, then the event of the step that removed
    the record.

    `before` is the record's row before the pass, and `removed` the row that the pass stored in its
    file of dropped or quarantined rows. `after` is the row that has the measures of the steps; if
    `after` is None, `removed` has these measures.
    """
    row, table = removed.values, removed.table if after is None else after
    at = next(number for number, step in enumerate(steps) if step["name"] == row["step"])
    what = "dropped" if row.get("reason") else "quarantined"
    last = Event(row["step"], what, {**reasons(row), **_facts(steps[at], table)})
    return [*(_kept(steps[: at + 1], n, before, table) for n in range(at)), last]


def of_replaced(steps: list[Identity], before: pa.Table) -> list[Event]:
    """Return the events of the steps that kept a record, then the event of the reshape step that
    replaced the record."""
    none = before.select([])
    for at, step in enumerate(steps):
        if is_reshape(step) and not _is_passed_over(steps, at, before, none):
            last = Event(step["name"], "made into other records", {})
            return [*(_kept(steps, number, before, none) for number in range(at)), last]
    return [Event(steps[0]["name"], "made into other records", {})]  # made by an older version


def of_new_record(steps: list[Identity], row: StoredRow) -> list[Event]:
    """Return the event of the reshape step that made a record, then the events of the later steps
    of the same pass.

    If several steps could have made the record, the last of these steps made it, because it
    replaces the records of the earlier steps.
    """
    after, before = row.table, row.table.select([])
    if row.ending == PART:
        end, later = len(steps), of_kept(steps, before, after)
    else:
        later = of_removed(steps, before, row)
        end = len(later) - 1
    makers = (n for n in reversed(range(end)) if is_reshape(steps[n]))
    maker = next((n for n in makers if not _is_passed_over(steps, n, before, after)), 0)
    made = Event(steps[maker]["name"], "made from", {"origin": row.values["origin"]})
    return [made, *later[maker + 1 :]]


def reasons(row: dict[str, Any]) -> dict[str, Any]:
    """Return the facts about a removed row: the reason or the error; if the removed row stands for
    several rows, their number; and whether `--retry` may help."""
    why = {name: row[name] for name in ("reason", "error", "message") if row.get(name)}
    if row.get("rows", 1) > 1:
        why["hides"] = f"{row['rows']:,} rows"
    return {**why, "retry": MAY_SUCCEED} if row.get("later") else why


def _kept(steps: list[Identity], number: int, before: pa.Table, after: pa.Table) -> Event:
    """Return the event of a step that did not remove the record: either the step kept the record,
    or the setting `only` of the step did not select the record. The step is given by its number in
    `steps`."""
    step = steps[number]
    if (found := _differing(steps, number, before, after)) is not None:
        return Event(step["name"], PASSED_OVER, {**found, "only": step["only"]})
    return Event(step["name"], "kept", _facts(step, after))


def _is_passed_over(steps: list[Identity], number: int, before: pa.Table, after: pa.Table) -> bool:
    return _differing(steps, number, before, after) is not None


def _differing(
    steps: list[Identity], number: int, before: pa.Table, after: pa.Table
) -> dict[str, Any] | None:
    """Return the reason why the step with the index `number` passed over a record: a column and the
    record's value in it, `{"modality": "text"}`, because the step's setting `only` does not list
    this value. Return None if `only` selects the record, or if the reason is not known, because the
    values of a column in `only` were not stored."""
    step = steps[number]
    for column, allowed in (step["only"] or {}).items():
        if isinstance(allowed, str):  # the name of a variable, whose value is not kept
            continue
        row = _row_with(column, steps, number, before, after)
        if row is not None and not selected(row, column, allowed, step["name"])[0]:
            return {column: row[column][0].as_py()}
    return None


def _row_with(
    column: str, steps: list[Identity], number: int, before: pa.Table, after: pa.Table
) -> pa.Table | None:
    """Return the row in which the column `column` has the same value as just before the step with
    the index `number` in `steps`: either the row before the pass (`before`) or the row after the
    pass (`after`).

    Returns None if the value was never stored: a step before the given step may have changed the
    column, and the given step or a later step may have changed it again.
    """
    if column in after.column_names and not _rewritten(column, steps[number:]):
        return after
    if column in before.column_names and not _rewritten(column, steps[:number]):
        return before
    return None


def _rewritten(column: str, steps: list[Identity]) -> bool:
    """Whether one of the steps may have changed the column. A reshape step may change any column of
    the record except `source`."""
    free = "." not in column and column != "source"
    return any(column in s.get("rewrites", []) or (free and is_reshape(s)) for s in steps)


def _facts(step: Identity, row: pa.Table) -> dict[str, Any]:
    """Return the measures that a step added to a row, and the step's settings."""
    own = [name for name in row.column_names if name.startswith(f"{step['name']}.")]
    measured = {name: row[name][0].as_py() for name in own}
    return {**{k: v for k, v in measured.items() if v is not None}, **_settings(step)}


def _settings(step: Identity) -> dict[str, Any]:
    """Return the settings of a step, except those that are empty or too long for one line."""
    flat = {k: v for k, v in step["parameters"].items() if v not in (None, [], {})}
    return {k: v for k, v in flat.items() if not (isinstance(v, list) and isinstance(v[0], dict))}
