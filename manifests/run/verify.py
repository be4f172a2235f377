"""Check a run against its manifests: every digest, every ledger, every count from pass to pass."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from manifests import storage
from manifests.errors import CurateError
from manifests.run import ledger, manifest
from manifests.run.fingerprint import file_digest
from manifests.run.manifest import FileEntry, PassManifest, RunManifest
from manifests.storage import parts


class Fault(NamedTuple):
    """Something that is not as a manifest says."""

    place: str
    what: str


class Checked(NamedTuple):
    """What was looked at, and what is wrong."""

    files: int
    size_bytes: int
    faults: list[Fault]


def verify(folder: str) -> Checked:
    """Read every byte a run's manifests answer for."""
    run = manifest.load_run(folder)
    files = size_bytes = 0
    faults = list(_ledger(run, folder))
    for place, entry in entries(run, folder):
        files, size_bytes = files + 1, size_bytes + entry.size_bytes
        faults += _file(place, entry)
    return Checked(files, size_bytes, faults)


def entries(run: RunManifest, folder: str) -> Iterator[tuple[str, FileEntry]]:
    """Every file of a run, with its place."""
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
        yield Fault(place, "is not there")
    elif found[0] != entry.size_bytes:
        yield Fault(place, f"has {found[0]} bytes, not {entry.size_bytes}")
    elif (digest := file_digest(place)) != entry.digest:
        yield Fault(place, f"has digest {digest}, not {entry.digest}")


def _ledger(run: RunManifest, folder: str) -> Iterator[Fault]:
    try:
        ledger.check(run.ledger, folder)
    except CurateError as error:
        yield Fault(folder, error.fault)
    passes = [(e, manifest.load_pass(storage.join(folder, e.folder))) for e in run.passes]
    for entry, known in passes:
        if known.digest != entry.digest:
            yield Fault(entry.folder, f"has digest {known.digest}, not {entry.digest}")
    yield from _counts([known for _, known in passes])
    yield from _quarantine(run, folder)


def _counts(passes: list[PassManifest]) -> Iterator[Fault]:
    """What one pass keeps, the next one gets."""
    kept = sum(p.rows for p in passes if p.kind == "read")
    for known in (p for p in passes if p.kind != "read"):
        came = known.ledger[0].rows_in if known.ledger else known.rows
        if came != kept:
            yield Fault(known.name, f"got {came} rows, of {kept} kept before it")
        kept = kept if known.kind == "shards" else known.rows


def _quarantine(run: RunManifest, folder: str) -> Iterator[Fault]:
    told = sum(sum(account.quarantined.values()) for account in run.ledger)
    place = storage.join(folder, "quarantine.arrow")
    listed = parts.read_columns(place, ("id",)).num_rows
    if told != listed:
        yield Fault(place, f"lists {listed} inputs; the ledger has {told}")
