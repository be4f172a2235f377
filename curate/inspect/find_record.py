"""Finds a record of a finished run by its id, the start of its id, or its origin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.engine.part_files import DROPPED, PART, QUARANTINE
from manifests import storage
from manifests.errors import InputError
from manifests.run import manifest
from manifests.run.manifest import Commit, PassManifest, RunManifest
from manifests.storage import parts


class StoredRow(NamedTuple):
    """The row of a record in a file of a pass: a table of one row, and the row's index in the file.

    `ending` is the ending of the file's name; it shows whether the file has kept (`PART`), dropped
    or quarantined rows.
    """

    table: pa.Table
    number: int
    ending: str

    @property
    def values(self) -> dict[str, Any]:
        found: dict[str, Any] = self.table.to_pylist()[0]
        return found


class FoundRecord(NamedTuple):
    """A record that matches a request, in the pass that made it. `at` is the index of this pass in
    the run."""

    at: int
    part: str
    row: StoredRow
    id: str
    origin: str
    source: str


def find_record(run: RunManifest, out: str, wanted: str) -> list[FoundRecord]:
    """Find the one record with this id or origin or, if there is none, the one whose id starts so.

    Returns the record, followed by quarantined inputs of the same id and origin, such as a key that
    occurs twice in a tar. If records that a reader made and records made from them share the
    origin, the reader's record is returned. Raises InputError if no record matches, or more than
    one.
    """
    read = [m for at, entry in enumerate(run.passes) if entry.kind == "read"
            for m in _in_pass(out, run, at, wanted)]  # fmt: skip
    found = [m for m in read if wanted in (m.id, m.origin)]
    if not found:
        made = _made_from_others(run, out, wanted, {m.id for m in read})
        exact = [m for m in made if m.id == wanted] or [m for m in made if m.origin == wanted]
        found = exact or [*read, *made]
    if not found:
        raise InputError(
            f"no record has the id or origin '{wanted}'", out,
            "`curate show` lists records with their ids.",
        )  # fmt: skip
    records = [m for m in found if m.row.ending == PART]
    if len({(m.id, m.origin) for m in found}) > 1 or len(records) > 1:
        raise ambiguous(found, out, wanted)
    return sorted(found, key=lambda match: match.row.ending != PART)


def ambiguous(found: list[FoundRecord], out: str, wanted: str) -> InputError:
    """Build the error for several matches; its message explains how to distinguish them."""
    ids, origins = ({m.id for m in found}, {m.origin for m in found})
    names, fix = ids, "Give more of the id."
    if len(ids) > 1 and all(m.origin == wanted for m in found):
        fix = "They have the same origin. Name one by its id."
    elif len(ids) == 1 and len(origins) > 1:
        names, fix = origins, "They have the same id. Name one by its origin."
    elif len(ids) == 1:
        fix = (
            "They have the same id and the same origin, so no name distinguishes them. List those "
            f"that were written: curate show {out} {found[0].id}. List those that were dropped: "
            f"curate show {out} {found[0].id} --dropped."
        )
    shown = ", ".join(sorted(names)[:5])
    return InputError(f"{len(found)} records match '{wanted}': {shown}", out, fix)


def _made_from_others(
    run: RunManifest, out: str, wanted: str, known: set[str]
) -> list[FoundRecord]:
    """Return the matching records that reshape steps made, in the pass that made them.

    Records whose ids are in `known` are not returned, because they are not new.
    """
    found: list[FoundRecord] = []
    for at, entry in enumerate(run.passes):
        if entry.kind == "rows" and has_reshape(pass_manifest(run, out, at)):
            seen = known | {m.id for m in found}
            found += [m for m in _in_pass(out, run, at, wanted) if m.id not in seen]
    return found


def has_reshape(known: PassManifest) -> bool:
    return any(step.get("shape") == "reshape" for step in known.steps)


def pass_manifest(run: RunManifest, out: str, at: int) -> PassManifest:
    return manifest.load_pass(storage.join(out, run.passes[at].folder))


def _in_pass(out: str, run: RunManifest, at: int, wanted: str) -> Iterator[FoundRecord]:
    folder = storage.join(out, run.passes[at].folder)
    for commit in pass_manifest(run, out, at).parts:
        for ending in (PART, DROPPED, QUARANTINE):
            for row in _matching_rows(folder, commit, ending, wanted):
                who = [row.values[name] for name in ("id", "origin", "source")]
                yield FoundRecord(at, commit.part, row, *who)


def _matching_rows(folder: str, commit: Commit, ending: str, wanted: str) -> list[StoredRow]:
    """Return the rows of a file whose id starts with `wanted`, or whose origin is `wanted`."""

    def matches(who: pa.Table) -> pa.ChunkedArray:
        return pc.or_(pc.starts_with(who["id"], wanted), pc.equal(who["origin"], wanted))

    return _rows(folder, commit, ending, matches)


def rows_of(folder: str, commit: Commit, ending: str, found: FoundRecord) -> list[StoredRow]:
    """Return the rows of the record in the file with this ending: one row, or none."""

    def matches(who: pa.Table) -> pa.ChunkedArray:
        return pc.and_(pc.equal(who["id"], found.id), pc.equal(who["origin"], found.origin))

    return _rows(folder, commit, ending, matches)


def _rows(folder: str, commit: Commit, ending: str, mask: Any) -> list[StoredRow]:
    entry = commit.file(ending)
    if entry is None:
        return []
    uri = storage.join(folder, entry.name)
    numbers = np.flatnonzero(np.asarray(mask(parts.read_columns(uri, ("id", "origin")))))
    if not len(numbers):
        return []
    table = parts.read_columns(uri)
    return [StoredRow(table.slice(int(n), 1).combine_chunks(), int(n), ending) for n in numbers]
