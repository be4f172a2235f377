"""Verify a run against its manifests. Four things are checked: that each file has the size and
digest in its manifest; that the ledgers (how many rows each step kept and removed) agree with each
other; that the files have as many rows as the manifests state; and, if no file is damaged, that
references of records to stored media lead to bytes of a file.

A file in the folder of the run is either compared with its digest or checksum, or listed as not
covered by a manifest.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import NamedTuple

import pyarrow.compute as pc

from manifests import storage
from manifests.errors import CurateError, ManifestError
from manifests.run import ledger, manifest, payer, saved_splits
from manifests.run.blob_references import blobs_of, broken_references
from manifests.run.file_names import COMMIT, DROPPED, PART, RUN_QUARANTINE
from manifests.run.manifest import Commit, PassEntry, PassManifest, RunManifest
from manifests.storage import parts
from manifests.storage.digest import fault_of
from manifests.storage.file_entry import FileEntry

_THREADS = 8
"""Threads that check files at once (our choice). Reading and hashing release the interpreter's
lock."""
_ROWS_OF_PART = {"read", "rows", "order"}
"""Kinds of passes that write the rows of their parts; other passes write columns for these rows, or
shards."""


class Fault(NamedTuple):
    """A difference between a manifest and the files on disk. `place` is the file, folder or
    pass."""

    place: str
    fault: str


class Verified(NamedTuple):
    """The result of verifying a run: the number and the total size of the files that its manifests
    list, and the faults that were found.

    `uncovered` lists the files in the folder that no manifest of the run names, relative to the
    folder: the lock of a run in progress, parts of earlier recipes, files that other programs
    wrote.
    """

    files: int
    size_bytes: int
    faults: list[Fault]
    uncovered: list[str]


class _Pass(NamedTuple):
    """A pass of the run, which is one processing of all records. `entry`: what the manifest of the
    run states about the pass. `manifest`: the manifest of the pass. `commits` and `files`: the
    folders with the manifests and with the files of its parts, relative to the folder of the run.
    """

    entry: PassEntry
    manifest: PassManifest
    commits: str
    files: str


def verify(folder: str) -> Verified:
    """Reads every file that the manifests of a run name, and compares it with the manifests; see
    the docstring of this module.

    Raises ManifestError if the manifest of the run is missing or damaged.
    """
    run = manifest.load_run(folder)
    passes, faults = _passes(run, folder)
    files = [*_entries(run, passes)]
    wrong = _wrong(folder, files)
    faults += wrong.values()
    faults += [*_ledgers(run, folder, passes), *_rows(folder, passes, wrong)]
    if storage.join(folder, RUN_QUARANTINE) not in wrong:
        faults += _quarantine(run, folder)
    covered = {name for name, _ in files}
    faults += [*_commits_and_splits(run, folder, passes, covered), *_bills(folder, covered)]
    if not wrong:
        faults += _references(folder, passes)
    covered.add(manifest.NAME)
    uncovered = [name for name in storage.files_below(folder) if name not in covered]
    size_bytes = sum(entry.size_bytes for _, entry in files)
    return Verified(len(files), size_bytes, faults, uncovered)


def damaged_files(run: RunManifest, folder: str) -> list[Fault]:
    """Reads the files of a run: those that its manifests name, the commits of its parts, and its
    lists of splits. Returns a fault for each file that is missing, or that differs from its
    manifest."""
    passes, faults = _passes(run, folder)
    faults += _wrong(folder, [*_entries(run, passes)]).values()
    return faults + _commits_and_splits(run, folder, passes, set())


def _wrong(folder: str, files: list[tuple[str, FileEntry]]) -> dict[str, Fault]:
    """Compares files with their manifests, and returns a fault for each file that differs, by the
    path of the file. `files` is the result of `_entries`."""
    with ThreadPoolExecutor(_THREADS) as threads:
        found = threads.map(lambda one: _file(folder, *one), files)
        return {fault.place: fault for fault in found if fault}


def _passes(run: RunManifest, folder: str) -> tuple[list[_Pass], list[Fault]]:
    """Loads the manifests of all passes of the run. Returns the passes, and a fault for each
    manifest that is damaged or has another digest than the manifest of the run states."""
    found, faults = list[_Pass](), list[Fault]()
    for entry in run.passes:
        try:
            known = manifest.load_pass_of(folder, entry)
        except ManifestError as error:
            faults.append(Fault(error.place, error.fault))
            continue
        found.append(_Pass(entry, known, entry.folder, known.files_folder or entry.folder))
    return found, faults


def _entries(run: RunManifest, passes: list[_Pass]) -> Iterator[tuple[str, FileEntry]]:
    """Yields every file that the manifests of a run list: its name, relative to the folder of the
    run, and its entry in the manifest."""
    for known in passes:
        for commit in known.manifest.parts:
            for file in commit.files:
                yield f"{known.files}/{file.name}", file
    for written in run.shards.values():
        for file in written.files:
            yield f"{written.folder}/{file.name}", file
    for file in run.files:
        yield file.name, file


def _file(folder: str, name: str, entry: FileEntry) -> Fault | None:
    place = storage.join(folder, name)
    fault = fault_of(place, entry)
    return None if fault is None else Fault(place, fault)


def _commits(folder: str, known: _Pass, covered: set[str]) -> Iterator[Fault]:
    """Yields a fault for each commit (the manifest of a part) of the pass `known` that is missing,
    or that differs from the copy of the commit in the manifest of the pass.

    The file names of the manifest of the pass and of the commits are added to `covered`.
    """
    covered.add(f"{known.commits}/{manifest.NAME}")
    for commit in known.manifest.parts:
        name = f"{known.commits}/{commit.part}{COMMIT}"
        covered.add(name)
        place = storage.join(folder, name)
        if storage.size_and_stamp(place) is None:
            yield Fault(place, "the file is missing")
        elif storage.read_bytes(place) != manifest.content_of(commit):
            yield Fault(place, "the commit differs from its copy in the manifest of the pass")


def _commits_and_splits(
    run: RunManifest, folder: str, passes: list[_Pass], covered: set[str]
) -> list[Fault]:
    commits = (fault for one in passes for fault in _commits(folder, one, covered))
    return [*commits, *_splits(run, folder, covered)]


def _splits(run: RunManifest, folder: str, covered: set[str]) -> Iterator[Fault]:
    """Yields a fault for each source whose file of splits (the inputs of the tasks) is missing or
    damaged. The names of these files are added to `covered`."""
    for entry in (one for one in run.passes if one.kind == "read"):
        name = f"{entry.folder}/{saved_splits.NAME}"
        covered.add(name)
        found = saved_splits.load(storage.join(folder, entry.folder))
        if isinstance(found, str):
            yield Fault(storage.join(folder, name), found)


def _bills(folder: str, covered: set[str]) -> Iterator[Fault]:
    """Yields a fault for each damaged bill, a file that states what a request step has asked and
    paid. The names of all bills are added to `covered`."""
    for name, is_intact in payer.files(folder):
        covered.add(name)
        if not is_intact:
            yield Fault(storage.join(folder, name), "the checksum does not match the content")


def _ledgers(run: RunManifest, folder: str, passes: list[_Pass]) -> Iterator[Fault]:
    for counted in (one for one in run.counted if not one.balances):
        yield Fault(counted.source, f"not every unit of the source has an outcome: {counted}")
    try:
        ledger.check(run.ledger, folder)
    except CurateError as error:
        yield Fault(folder, error.fault)
    for known in passes:
        parts_sum = ledger.total(a for commit in known.manifest.parts for a in commit.ledger)
        if parts_sum != known.manifest.ledger:
            yield Fault(
                known.commits, "the ledger of the pass is not the sum of its parts' ledgers"
            )
        if known.manifest.rows != known.entry.rows:
            fault = (
                f"the parts of the pass have {known.manifest.rows} rows, but the manifest of the "
                f"run states {known.entry.rows}"
            )
            yield Fault(known.commits, fault)
    if len(passes) == len(run.passes):
        if [*chain.from_iterable(known.manifest.ledger for known in passes)] != run.ledger:
            yield Fault(
                folder, "the ledger of the run does not agree with the ledgers of its passes"
            )
        yield from _counts([known.manifest for known in passes])


def _counts(passes: list[PassManifest]) -> Iterator[Fault]:
    """Yields a fault for each pass that did not get as many rows as the pass before it kept."""
    kept = sum(p.rows for p in passes if p.kind == "read")
    for known in (p for p in passes if p.kind != "read"):
        rows_in = known.ledger[0].rows_in if known.ledger else known.rows
        if rows_in != kept:
            yield Fault(
                known.name, f"the pass got {rows_in} rows, but the pass before it kept {kept}"
            )
        kept = kept if known.kind == "shards" else known.rows


def _quarantine(run: RunManifest, folder: str) -> Iterator[Fault]:
    counted = sum(account.rows_quarantined for account in run.ledger)
    place = storage.join(folder, RUN_QUARANTINE)
    try:
        listed = pc.sum(parts.read_columns(place, ("rows",))["rows"]).as_py() or 0
    except CurateError as error:
        yield Fault(place, error.fault)
        return
    if counted != listed:
        yield Fault(place, f"the file has {listed} quarantined inputs, but the ledger {counted}")


def _rows(folder: str, passes: list[_Pass], wrong: dict[str, Fault]) -> Iterator[Fault]:
    """Yields a fault for each Arrow file that does not have the number of rows that the commit of
    its part states. Files in `wrong`, which have a fault already, are not read."""
    for known in (one for one in passes if one.entry.kind != "shards"):
        for commit in known.manifest.parts:
            for name, rows in _stated_rows(known.entry.kind, commit).items():
                place = storage.join(folder, known.files, name)
                if place not in wrong and (found := _rows_in(place)) != rows:
                    has = "no readable" if found is None else found
                    yield Fault(place, f"the file has {has} rows, but its commit states {rows}")


def _stated_rows(kind: str, commit: Commit) -> dict[str, int]:
    """Returns the number of rows that each Arrow file of a part must have, by the name of the file,
    according to `commit`, the part's manifest. `kind` is the kind of the pass."""
    stated = {file.name: file.rows for file in commit.files if file.name.endswith(PART)}
    if kind in _ROWS_OF_PART:
        stated[commit.part + PART] = commit.rows
    if dropped := sum(account.rows_dropped for account in commit.ledger):
        stated[commit.part + DROPPED] = dropped
    return stated


def _rows_in(place: str) -> int | None:
    """Returns the number of rows of an Arrow file; None if the file is missing, or not an Arrow
    file."""
    try:
        return sum(int(table.num_rows) for table in parts.read(place))
    except CurateError:
        return None


def _references(folder: str, passes: list[_Pass]) -> Iterator[Fault]:
    """Yields a fault for each file of records in which a record refers to bytes that no stored
    media file has."""
    blobs = blobs_of((known.files, known.manifest.parts) for known in passes)
    for known in (one for one in passes if one.entry.kind in _ROWS_OF_PART):
        for commit in known.manifest.parts:
            place = storage.join(folder, known.files, commit.part + PART)
            for fault in broken_references(place, blobs):
                yield Fault(place, fault)
