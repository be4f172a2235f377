"""Finds families of duplicates in a finished run: the largest families, and the path from a dropped
record to the record that was kept.

A family is a group of records that are duplicates of each other. Its survivor is the record that
was kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from curate.inspect.part_records import passes_of, records_after
from curate.inspect.pass_files import files_of
from manifests import record, storage
from manifests.run import manifest
from manifests.run.file_names import DROPPED, PART
from manifests.run.manifest import PassEntry, RunManifest
from manifests.storage import parts


class Member(NamedTuple):
    """A record that was dropped as a duplicate. `of` is the id of the record that it duplicates,
    and `similarity` is the similarity of these two records. `text` is its text as it was compared;
    None if it has none."""

    id: str
    origin: str
    of: str
    similarity: float
    text: str | None


class Family(NamedTuple):
    """A group of duplicates: the survivor (the record that was kept), the number of records that
    were dropped as its duplicates, and some of the dropped records, least similar first.

    `origin` and `text` are those of the survivor, the text as it was compared; None if the survivor
    is a record of an earlier run.
    """

    step: str
    survivor: str
    origin: str | None
    text: str | None
    dropped: int
    members: list[Member]


def duplicate_passes(run: RunManifest, out: str) -> Iterator[tuple[PassEntry, str]]:
    """Yield the passes that dropped duplicates, each with the name of its step."""
    for entry in run.passes:
        if entry.kind == "corpus":
            name = manifest.load_pass_of(out, entry).steps[0]["name"]
            if any(f"{name}.survivor" in part.column_names for part in _dropped(out, entry)):
                yield entry, name


def largest_families(out: str, count: int, members: int, step: str | None = None) -> list[Family]:
    """Return the `count` families (groups of duplicates) with the most dropped records.

    Each family lists up to `members` of its dropped records. The families are those of all steps
    that drop duplicates, or only of the step named `step`.
    """
    run = manifest.load_run(out)
    found = []
    for entry, name in duplicate_passes(run, out):
        if step in (None, name):
            found += list(_largest_of_step(run, out, entry, name, count, members))
    return sorted(found, key=lambda family: -family.dropped)[:count]


def _largest_of_step(
    run: RunManifest, out: str, entry: PassEntry, name: str, count: int, members: int
) -> Iterator[Family]:
    columns = ["id", "origin", *(f"{name}.{c}" for c in ("of", "similarity", "survivor"))]
    dropped = [t.filter(pc.equal(t["step"], name)).select(columns) for t in _dropped(out, entry)]
    names = ["id", "origin", "of", "similarity", "survivor"]
    table = pa.concat_tables(dropped).rename_columns(names)
    sizes = pc.value_counts(table["survivor"].combine_chunks())
    order = pc.array_sort_indices(sizes.field("counts"), order="descending")
    top = sizes.take(order[:count]).to_pylist()
    found = {}
    for one in top:
        family = table.filter(pc.equal(table["survivor"], one["values"]))
        family = family.sort_by([("similarity", "ascending"), ("id", "ascending")])
        found[one["values"]] = family.slice(0, members).select(names[:-1]).to_pylist()
    known = _compared(out, entry, [*found, *(row["id"] for rows in found.values() for row in rows)])
    nothing = (None, None)
    for one in top:
        origin, text = known.get(one["values"], nothing)
        shown = [
            Member(**row, text=known.get(row["id"], nothing)[1]) for row in found[one["values"]]
        ]
        yield Family(name, one["values"], origin, text, one["counts"], shown)


def _compared(
    out: str, entry: PassEntry, ids: list[str]
) -> dict[str, tuple[str | None, str | None]]:
    """Return a dict from id to (origin, text) for the records with the ids `ids`, as they were
    before a pass. An id of another run is left out."""
    passes, wanted = passes_of(out), pa.array(ids, pa.string())
    folder = storage.join(out, entry.folder)
    at = next(number for number, made in enumerate(passes) if made.folder == folder)
    found: dict[str, tuple[str | None, str | None]] = {}
    for part in passes[at].commits:
        view = records_after(passes[:at], part, ("content",))
        table = view.read_columns(("id", "origin", "content"), parts.read_checked)
        found |= _texts(table, wanted)
    return found


def path_to_survivor(
    out: str, entry: PassEntry, name: str, of: str
) -> list[tuple[str, dict[str, Any]]]:
    """Return the records on the path from the record with the id `of` to the survivor: the record
    `of`, then the record of which it is a duplicate, and so on, until a record that was not
    dropped.

    `entry` is the pass that dropped the records, and `name` the name of its step. Each record comes
    with its role and its facts: [("by way of", {...}), ("survivor", {...})].
    """
    dropped = [t for t in _dropped(out, entry) if f"{name}.of" in t.column_names]
    steps: list[tuple[str, dict[str, Any]]] = []
    while True:
        row = _row(dropped, of)
        if row is None:
            return [*steps, ("survivor", _survivor(out, of))]
        link = {"id": of, "origin": row["origin"], "similarity": row[f"{name}.similarity"]}
        steps.append(("by way of", {**link, "of": row[f"{name}.of"]}))
        of = row[f"{name}.of"]


def _survivor(out: str, record_id: str) -> dict[str, Any]:
    origin, _ = _records(manifest.load_run(out), out, [record_id]).get(record_id, (None, None))
    return {"id": record_id, "origin": origin or "(in an earlier corpus)"}


def _row(tables: list[pa.Table], record_id: str) -> dict[str, Any] | None:
    """Return the row of a record in the tables of dropped records; None if it was not dropped."""
    for table in tables:
        mask = pc.equal(table["id"], record_id)
        if pc.any(mask).as_py():
            found: dict[str, Any] = table.filter(mask).to_pylist()[0]
            return found
    return None


def _dropped(out: str, entry: PassEntry) -> Iterator[pa.Table]:
    """Return the tables of records that a pass dropped, one table for each part with dropped
    records."""
    return (parts.read_checked(uri) for uri in files_of(out, entry, DROPPED))


def _records(
    run: RunManifest, out: str, ids: list[str]
) -> dict[str, tuple[str | None, str | None]]:
    """Return a dict from id to (origin, text) for the records with the ids `ids`, as a reader or a
    reshape step made the records. An id of another run is left out."""
    found: dict[str, tuple[str | None, str | None]] = {}
    for entry in run.passes:
        wanted = pa.array([i for i in ids if i not in found], pa.string())
        if entry.kind in ("read", "rows") and len(wanted):
            found |= _in_pass(out, entry, wanted)
    return found


def _in_pass(
    out: str, entry: PassEntry, wanted: pa.Array
) -> dict[str, tuple[str | None, str | None]]:
    found: dict[str, tuple[str | None, str | None]] = {}
    for uri in files_of(out, entry, PART):
        found |= _texts(parts.read_checked(uri, ("id", "origin", "content")), wanted)
    return found


def _texts(table: pa.Table, wanted: pa.Array) -> dict[str, tuple[str | None, str | None]]:
    rows = table.filter(pc.is_in(table["id"], wanted))
    texts = record.texts(rows["content"]).to_pylist() if rows.num_rows else []
    described = zip(rows["origin"].to_pylist(), texts, strict=True)
    return dict(zip(rows["id"].to_pylist(), described, strict=True))
