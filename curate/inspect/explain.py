"""Explains what happened to one record: how it was read, what each step did, which shard has it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from curate.emit.order import shard_of
from curate.engine.part_view import DROP, ERROR, with_columns
from curate.engine.passes import shards
from curate.inspect import families, step_events
from curate.inspect.find_record import (
    FoundRecord,
    StoredRow,
    find_record,
    pass_manifest,
    rows_of,
)
from curate.inspect.step_events import Event
from manifests import storage
from manifests.run import manifest
from manifests.run.file_names import DROPPED, PART, QUARANTINE
from manifests.run.manifest import PassEntry, PassManifest, RunManifest
from manifests.storage import parts
from manifests.storage.digest import stated_file


class Explanation(NamedTuple):
    """All events of a record. `record` is its row as a reader or a reshape step made it; None if
    the record could not be read, or if the record was made and removed in the same pass.
    `request_steps` are the names of the steps of the events that ask a model."""

    id: str
    origin: str
    source: str
    events: list[Event]
    record: dict[str, Any] | None
    request_steps: list[str]


def explain(out: str, wanted: str) -> Explanation:
    """Explain what happened to a record, which is given by its id or origin, the start of its id,
    or the end of its origin.

    Raises InputError if no record matches, or if several records match.
    """
    run = manifest.load_run(out)
    found, *failures = find_record(run, out, wanted)
    events = [event for one in (*failures, found) for event in _events(run, out, one)]
    record = found.row.values if found.row.ending == PART else None
    asking = _request_steps(run, out)
    seen = [event.step for event in events if event.step in asking]
    return Explanation(found.id, found.origin, found.source, events, record, seen)


def _request_steps(run: RunManifest, out: str) -> set[str]:
    passes = [pass_manifest(run, out, at) for at in range(len(run.passes))]
    steps = [step for known in passes for step in known.steps]
    return {step["name"] for step in steps if step.get("shape") == "request"}


def row_before(run: RunManifest, out: str, found: FoundRecord, step: str) -> pa.Table | None:
    """Return the row of the record before the costly step `step` measures it, as a table of one
    row; None if the record was removed before this step, or made after it. If the run has not come
    to the step yet, the row is as the last pass of the run left it."""
    names = [(entry.kind, entry.name) for entry in run.passes]
    end = names.index(("measure", step)) if ("measure", step) in names else len(names)
    row = _Row.of(found.row) if found.row.ending == PART and found.at < end else None
    for at in range(found.at + 1, end):
        if row is not None and run.passes[at].kind in _AFTER_PASS:
            _, row = _after_pass(run, out, at, found, row)
    return None if row is None else row.table


class _Row(NamedTuple):
    """The row of the record after some of the passes, as a table of one row, and the row's index
    (`number`) in its part, not counting removed rows.

    A costly step has two passes: the first measures, and the second decides. Between these two
    passes, `before_measuring` is the row as it was before the first pass; at any other time, it is
    the same as `table`.
    """

    table: pa.Table
    number: int
    before_measuring: pa.Table

    @classmethod
    def of(cls, row: StoredRow) -> _Row:
        return cls(row.table, row.number, row.table)


class _AfterPass(NamedTuple):
    """What the steps of a pass did with the record (`events`), and the row of the record after the
    pass; None if the record was removed."""

    events: list[Event]
    row: _Row | None


def _events(run: RunManifest, out: str, found: FoundRecord) -> Iterator[Event]:
    entry = run.passes[found.at]
    if entry.kind == "read":
        yield _read_event(entry, found)
    else:
        yield from step_events.of_new_record(pass_manifest(run, out, found.at).steps, found.row)
    row = _Row.of(found.row) if found.row.ending == PART else None
    if row is None:
        return
    for at in range(found.at + 1, len(run.passes)):
        if run.passes[at].kind not in _AFTER_PASS:
            continue
        events, row = _after_pass(run, out, at, found, row)
        yield from events
        if row is None:
            yield from _survivor_events(out, run.passes[at], events[-1])
            return
    yield from _shard_events(run, out, found)


def _read_event(entry: PassEntry, found: FoundRecord) -> Event:
    if found.row.ending == PART:
        return Event(f"read {entry.name}", "read", {"from": found.origin})
    return Event(f"read {entry.name}", "quarantined", step_events.reasons(found.row.values))


def _after_pass(run: RunManifest, out: str, at: int, found: FoundRecord, row: _Row) -> _AfterPass:
    folder = storage.join(out, run.passes[at].folder)
    return _AFTER_PASS[run.passes[at].kind](folder, pass_manifest(run, out, at), found, row)


def _after_rows(folder: str, known: PassManifest, found: FoundRecord, row: _Row) -> _AfterPass:
    """Return what a pass that writes new files of records did with the record. A new file does not
    have the rows that the pass removed."""
    if removed := _removed_row(folder, known, found):
        return _AfterPass(step_events.of_removed(known.steps, row.table, removed), None)
    kept = _stored(folder, known, found, PART)
    if kept is None:
        return _AfterPass(step_events.of_replaced(known.steps, row.table), None)
    return _AfterPass(step_events.of_kept(known.steps, row.table, kept.table), _Row.of(kept))


def _after_measure(folder: str, known: PassManifest, found: FoundRecord, row: _Row) -> _AfterPass:
    """Return the record after the first pass of a costly step, which adds measures. There are no
    events, because the step's second pass states them."""
    table = _with_sidecar(row, _sidecar(folder, known, found))
    return _AfterPass([], row._replace(table=table))


def _after_sidecar(folder: str, known: PassManifest, found: FoundRecord, row: _Row) -> _AfterPass:
    """Return what a pass that writes sidecars did with the record. A sidecar is a file of new
    columns for the rows of an earlier file, which also marks the rows that the step of the pass
    removed."""
    sidecar = _sidecar(folder, known, found)
    table = _with_sidecar(row, sidecar)
    if removed := _removed_row(folder, known, found):
        before = row.before_measuring
        return _AfterPass(step_events.of_removed(known.steps, before, removed, table), None)
    stays = pc.and_(sidecar[DROP].is_null(), sidecar[ERROR].is_null())
    number = pc.sum(stays[: row.number]).as_py() or 0
    events = step_events.of_kept(known.steps, row.before_measuring, table)
    return _AfterPass(events, _Row(table, number, table))


_AFTER_PASS = {
    "rows": _after_rows,
    "measure": _after_measure,
    "decide": _after_sidecar,
    "corpus": _after_sidecar,
}


def _sidecar(folder: str, known: PassManifest, found: FoundRecord) -> pa.Table:
    file = next(c for c in known.parts if c.part == found.part).file(PART)
    assert file is not None
    return parts.read_checked(stated_file(folder, file))


def _with_sidecar(row: _Row, sidecar: pa.Table) -> pa.Table:
    """Return the row of the record with the columns that a sidecar (a file of new columns) adds,
    except columns whose names begin with a dot, which only the engine uses."""
    own = sidecar.slice(row.number, 1)
    return with_columns(
        row.table, {name: own[name] for name in own.column_names if not name.startswith(".")}
    )


def _removed_row(folder: str, known: PassManifest, found: FoundRecord) -> StoredRow | None:
    dropped = _stored(folder, known, found, DROPPED)
    return dropped or _stored(folder, known, found, QUARANTINE)


def _stored(folder: str, known: PassManifest, found: FoundRecord, ending: str) -> StoredRow | None:
    commit = next(c for c in known.parts if c.part == found.part)
    return next(iter(rows_of(folder, commit, ending, found)), None)


def _survivor_events(out: str, entry: PassEntry, last: Event) -> Iterator[Event]:
    """Yield an event for each record on the path from a dropped duplicate to the record that was
    kept in its place. The duplicate itself gets no event here; the last event is that of the kept
    record. `last` is the event that states that the duplicate was dropped. If the step only
    measures the nearest record (`of`), as `retrieve` does, that record gets an event."""
    if of := last.facts.get(f"{last.step}.of"):
        is_duplicate = f"{last.step}.survivor" in last.facts
        for what, facts in families.path_to_survivor(out, entry, last.step, of):
            yield Event(last.step, what if is_duplicate else "nearest", facts)


def _shard_events(run: RunManifest, out: str, found: FoundRecord) -> Iterator[Event]:
    """Yield, for each format, the shard that contains the record, or the reason why no shard
    contains it. If the rows are not shuffled, the shard of a record is not known, so only the
    folder of the shards is named."""
    for name, written in run.shards.items():
        if failed := _not_written(run, out, name, found.id):
            yield failed
            continue
        names, place = written.shards, written.folder
        if names and run.recipe["shards"]["shuffle"]:
            place = names[shard_of(found.id, run.seed, len(names))]
        yield Event("shards", "written", {name: place})


def _not_written(run: RunManifest, out: str, name: str, record_id: str) -> Event | None:
    """Explain why the record could not be written in the format `name`; None if it could be
    written."""
    entry = next(e for e in run.passes if e.kind == "shards" and e.name == name)
    for commit in manifest.load_pass_of(out, entry).parts:
        for row in shards.not_written(commit).to_pylist():
            if row["id"] == record_id:
                return Event(row["step"], "quarantined", step_events.reasons(row))
    return None
