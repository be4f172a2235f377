"""What happened to one record: how it was read, what each step did, and which shard has it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pyarrow.compute as pc

from curate.emit.order import shard_of
from curate.engine.part_files import DROPPED, PART, QUARANTINE
from curate.engine.passes import shards
from curate.inspect import families
from manifests import storage
from manifests.errors import InputError
from manifests.run import manifest
from manifests.run.manifest import Commit, PassEntry, PassManifest, RunManifest
from manifests.storage import parts
from manifests.storage.file_entry import FileEntry


class Event(NamedTuple):
    """What one step did with the record: `Event("words", "dropped", {"words.count": 1})`.

    `facts` hold the evidence: measures, settings, errors.
    """

    step: str
    what: str
    facts: dict[str, Any]


class Explanation(NamedTuple):
    """All that happened to a record. `record`: its row as it was read; None if it could not be
    read."""

    id: str
    origin: str
    source: str
    events: list[Event]
    record: dict[str, Any] | None


class _Match(NamedTuple):
    """A record that matches the request, with its first event and the part it is in."""

    part: str
    id: str
    event: Event
    record: dict[str, Any] | None
    origin: str
    source: str


def explain(out: str, wanted: str) -> Explanation:
    """What happened to a record, by its id, the start of its id, or its origin.

    Raises InputError if no record matches, or more than one.
    """
    run = manifest.load_run(out)
    found = _find(run, out, wanted)
    events = [found.event]
    if found.record is not None:
        events += _later_events(run, out, found)
    return Explanation(found.id, found.origin, found.source, events, found.record)


def _find(run: RunManifest, out: str, wanted: str) -> _Match:
    """The one record that matches `wanted`. A record with exactly this id or origin is preferred to
    one whose id starts with it."""
    matches: list[_Match] = []
    for entry in run.passes:
        if entry.kind == "read":
            matches += _read_matches(out, entry, wanted)
    exact = [m for m in matches if wanted in (m.id, m.origin)] or matches
    if not exact:
        exact = _reshaped_matches(run, out, wanted)
    if not exact:
        raise InputError(
            f"no record has the id or origin '{wanted}'", out,
            "`curate show` lists records with their ids.",
        )  # fmt: skip
    if len(exact) > 1:
        ids = ", ".join(sorted(m.id for m in exact)[:5])
        raise InputError(
            f"{len(exact)} records match '{wanted}': {ids}", out, "Give more of the id."
        )
    return exact[0]


def _read_matches(out: str, entry: PassEntry, wanted: str) -> Iterator[_Match]:
    folder = storage.join(out, entry.folder)
    for commit in manifest.load_pass(folder).parts:
        for ending in (PART, QUARANTINE):
            for row in _rows(folder, commit.file(ending), wanted):
                yield _read_event(entry, commit, row, ending)


def _read_event(entry: PassEntry, commit: Commit, row: dict[str, Any], ending: str) -> _Match:
    who = (row["origin"], row["source"])
    if ending == PART:
        event = Event(f"read {entry.name}", "read", {"from": row["origin"]})
        return _Match(commit.part, row["id"], event, row, *who)
    facts = {"error": row["error"], "message": row["message"]}
    event = Event(f"read {entry.name}", "quarantined", facts)
    return _Match(commit.part, row["id"], event, None, *who)


def _reshaped_matches(run: RunManifest, out: str, wanted: str) -> list[_Match]:
    """A record that a reshape step made: its rows in the first pass that has it."""
    for entry in run.passes:
        if entry.kind != "rows":
            continue
        folder = storage.join(out, entry.folder)
        found = []
        for commit in manifest.load_pass(folder).parts:
            for row in _rows(folder, commit.file(PART), wanted):
                event = Event(entry.name, "made from", {"origin": row["origin"]})
                found.append(
                    _Match(commit.part, row["id"], event, row, row["origin"], row["source"])
                )
        if found:
            return found
    return []


def _rows(folder: str, entry: FileEntry | None, wanted: str) -> list[dict[str, Any]]:
    """The rows of a file whose id starts with `wanted`, or whose origin it is."""
    if entry is None:
        return []
    uri = storage.join(folder, entry.name)
    who = parts.read_columns(uri, ("id", "origin"))
    mask = pc.or_(pc.starts_with(who["id"], wanted), pc.equal(who["origin"], wanted))
    if not pc.any(mask).as_py():
        return []
    rows: list[dict[str, Any]] = parts.read_columns(uri).filter(mask).to_pylist()
    return rows


SIDECARS = ("corpus", "decide")
"""Passes that add to a part without writing its rows anew."""


def _later_events(run: RunManifest, out: str, found: _Match) -> Iterator[Event]:
    assert found.record is not None
    row = found.record
    for entry in run.passes:
        if entry.kind not in ("rows", *SIDECARS):
            continue
        folder = storage.join(out, entry.folder)
        known = manifest.load_pass(folder)
        commit = next(c for c in known.parts if c.part == found.part)
        events, row = _pass_events(folder, known, commit, found.id, row)
        yield from events
        if events and (of := events[-1].facts.get(f"{events[-1].step}.of")):
            for what, facts in families.path_to_survivor(out, entry, events[-1].step, of):
                yield Event(events[-1].step, what, facts)
        if not events or events[-1].what not in ("kept", PASSED_OVER):
            return
    yield from _shard_events(run, out, found)


PASSED_OVER = "passed over"


def _pass_events(
    folder: str, known: PassManifest, commit: Commit, record_id: str, before: dict[str, Any]
) -> tuple[list[Event], dict[str, Any]]:
    """What the steps of a pass did with a record, and its row after them.

    `before`: its row before the pass.
    """
    for ending, what in ((DROPPED, "dropped"), (QUARANTINE, "quarantined")):
        for row in _rows(folder, commit.file(ending), record_id):
            return list(_removal_events(known, {**before, **row}, what)), row
    if known.kind in SIDECARS:
        return [_kept(known, known.steps[0], before)], before
    rows = _rows(folder, commit.file(PART), record_id)
    if not rows:
        return [Event(known.steps[0]["name"], "made into other records", {})], before
    return [_kept(known, step, rows[0]) for step in known.steps], rows[0]


def _kept(known: PassManifest, step: dict[str, Any], row: dict[str, Any]) -> Event:
    """The event of a step that kept the record, or whose `only` did not select it."""
    name, only = step["name"], step.get("only") or {}
    if any(column in row and row[column] not in values for column, values in only.items()):
        return Event(name, PASSED_OVER, {"only": only})
    return Event(name, "kept", _facts(known, name, row))


def _removal_events(known: PassManifest, row: dict[str, Any], what: str) -> Iterator[Event]:
    """The steps that kept a record, then the one that removed it."""
    for step in known.steps:
        name = step["name"]
        if name != row["step"]:
            yield _kept(known, step, row)
            continue
        why = {k: row[k] for k in ("reason", "error", "message") if row.get(k)}
        yield Event(name, what, {**why, **_facts(known, name, row)})
        return


def _facts(known: PassManifest, name: str, row: dict[str, Any]) -> dict[str, Any]:
    """What a step measured of a row, and its settings."""
    measures = {k: v for k, v in row.items() if k.startswith(f"{name}.") and v is not None}
    return {**measures, **_settings(known, name)}


def _settings(known: PassManifest, name: str) -> dict[str, Any]:
    """The settings of a step, without those that are empty or too large for a line."""
    step = next(s for s in known.steps if s["name"] == name)
    flat = {k: v for k, v in step["parameters"].items() if v not in (None, [], {})}
    return {k: v for k, v in flat.items() if not (isinstance(v, list) and isinstance(v[0], dict))}


def _shard_events(run: RunManifest, out: str, found: _Match) -> Iterator[Event]:
    """For each format, the shard that has the record, or why no shard has it."""
    for name, written in run.shards.items():
        if failed := _not_written(run, out, name, found.id):
            yield failed
            continue
        names, place = written["shards"], written["folder"]
        if names and run.recipe["shards"]["shuffle"]:
            place = names[shard_of(found.id, run.seed, len(names))]
        yield Event("shards", "written", {name: place})


def _not_written(run: RunManifest, out: str, name: str, record_id: str) -> Event | None:
    """Why the record could not be written in a format; None if it could."""
    entry = next(e for e in run.passes if e.kind == "shards" and e.name == name)
    for commit in manifest.load_pass(storage.join(out, entry.folder)).parts:
        for row in shards.not_written(commit).to_pylist():
            if row["id"] == record_id:
                facts = {"error": row["error"], "message": row["message"]}
                return Event(row["step"], "quarantined", facts)
    return None
