"""Verify a run against its manifests: digests of files, ledgers, and row counts between passes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pyarrow.compute as pc

from manifests import storage
from manifests.errors import CurateError
from manifests.run import ledger, manifest
from manifests.run.manifest import PassManifest, RunManifest
from manifests.storage import parts
from manifests.storage.digest import file_digest
from manifests.storage.file_entry import FileEntry


class Fault(NamedTuple):
    """A difference between a manifest and the files on disk. `place` is the file, folder or
    pass."""

    place: str
    fault: str


class Verified(NamedTuple):
    """The files that were read, and the faults that were found."""

    files: int
    size_bytes: int
    faults: list[Fault]


def verify(folder: str) -> Verified:
    """Read every file that the manifests of a run name, and compare it with its entry."""
    run = manifest.load_run(folder)
    files = size_bytes = 0
    faults = list(_ledger(run, folder))
    for place, entry in entries(run, folder):
        files, size_bytes = files + 1, size_bytes + entry.size_bytes
        faults += _file(place, entry)
    return Verified(files, size_bytes, faults)


def entries(run: RunManifest, folder: str) -> Iterator[tuple[str, FileEntry]]:
    """Yields the path and the manifest entry of every file of a run."""
    for entry in run.passes:
        known = manifest.load_pass(storage.join(folder, entry.folder))
        place = storage.join(folder, known.files_folder or entry.folder)
        for commit in known.parts:
            for file in commit.files:
                yield storage.join(place, file.name), file
    for written in run.shards.values():
        place = storage.join(folder, written["folder"])
        for file in written["files"]:
            one = FileEntry.model_validate(file)
            yield storage.join(place, one.name), one


def _file(place: str, entry: FileEntry) -> Iterator[Fault]:
    found = storage.size_and_stamp(place)
    if found is None:
        yield Fault(place, "the file is missing")
    elif found[0] != entry.size_bytes:
        yield Fault(place, f"the file has {found[0]} bytes, not {entry.size_bytes}")
    elif (digest := file_digest(place)) != entry.digest:
        yield Fault(place, f"the file has digest {digest}, not {entry.digest}")


def _ledger(run: RunManifest, folder: str) -> Iterator[Fault]:
    yield from (Fault(c.source, str(c)) for c in run.counted if not c.balances)
    try:
        ledger.check(run.ledger, folder)
    except CurateError as error:
        yield Fault(folder, error.fault)
    passes = [(e, manifest.load_pass(storage.join(folder, e.folder))) for e in run.passes]
    for entry, known in passes:
        if known.digest != entry.digest:
            fault = f"the manifest has digest {known.digest}, not {entry.digest}"
            yield Fault(entry.folder, fault)
    yield from _counts([known for _, known in passes])
    yield from _quarantine(run, folder)


def _counts(passes: list[PassManifest]) -> Iterator[Fault]:
    """Yields a fault for each pass that did not get as many rows as the pass before it kept."""
    kept = sum(p.rows for p in passes if p.kind == "read")
    for known in (p for p in passes if p.kind != "read"):
        rows_in = known.ledger[0].rows_in if known.ledger else known.rows
        if rows_in != kept:
            yield Fault(known.name, f"the pass got {rows_in} rows, but the pass before kept {kept}")
        kept = kept if known.kind == "shards" else known.rows


def _quarantine(run: RunManifest, folder: str) -> Iterator[Fault]:
    counted = sum(sum(account.quarantined.values()) for account in run.ledger)
    place = storage.join(folder, "quarantine.arrow")
    listed = pc.sum(parts.read_columns(place, ("rows",))["rows"]).as_py() or 0
    if counted != listed:
        yield Fault(place, f"the file lists {listed} inputs, but the ledger has {counted}")
