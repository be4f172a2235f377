"""Lists and counts the inputs of a finished run again, and compares them with its manifest."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

from curate import recipe
from curate.engine import splits
from curate.engine.counting import NOT_COUNTED
from curate.engine.media_options import MediaOptions
from curate.engine.passes.read import read_task
from curate.engine.splits import Saved, cut, group_key
from curate.ingest.reader import Context, Count, Reader
from manifests import storage
from manifests.errors import CurateError
from manifests.media.blobs import BlobFile
from manifests.run import manifest
from manifests.run.counted import FILES
from manifests.run.manifest import Commit, PassManifest
from manifests.run.verify import Fault
from manifests.storage import File

_NAMED = 5
"""The maximum number of files beside others that a fault names (our choice)."""
_THREADS = 8
"""Threads that count files at once (our choice). Reading releases the interpreter's lock."""


class Recounted(NamedTuple):
    """The result of a recount. `files` is the number of input files that were listed again.
    `faults` are the differences between the manifest and these files, also in the numbers of their
    units (lines, rows, ...)."""

    files: int
    faults: list[Fault]


def recount(folder: str, base: str | None = None) -> Recounted:
    """List the files of every source of a run, count their units (lines, rows, ...), and compare
    the files and the counts with the manifest of the run.

    Relative paths start from the folder `base`. If `base` is None, they start from the same folder
    as in the run.
    """
    made = manifest.load_run(folder)
    try:
        loaded = recipe.of_manifest(made, folder, base or made.environment["base"])
    except CurateError as error:
        fix = "To check only the output, add --no-inputs."
        return Recounted(0, [Fault(folder, f"its inputs cannot be counted again: {error} {fix}")])
    media = MediaOptions(loaded.base, folder, loaded.recipe.media)
    read = {entry.name: entry.folder for entry in made.passes if entry.kind == "read"}
    found = [
        _source(reader, media, storage.join(folder, read[reader.name]))
        for reader in loaded.readers
        if reader.name in read
    ]
    return Recounted(sum(one.files for one in found), [f for one in found for f in one.faults])


def _source(reader: Reader, media: MediaOptions, folder: str) -> Recounted:
    try:
        known, saved = manifest.load_pass(folder), splits.load(folder)
        files = reader.find_files(media.base)
    except CurateError as error:  # `verify` reports a damaged manifest too
        return Recounted(0, [Fault(f"source {reader.name}", str(error))])
    groups = [*reader.groups(files.readable), *([file] for file in files.faulty)]
    stated = _stated(known.parts)
    with ThreadPoolExecutor(_THREADS) as threads:
        counted = list(threads.map(partial(_units_now, reader, media, stated), groups))
    faults = [*_left_aside(reader, known, files.left_aside), *_gone(stated, saved, groups)]
    for group, now in zip(groups, counted, strict=True):
        faults += _group(group, saved, stated.get(group[0].uri), now)
    faults += _beside(reader, media.base, known.parts, saved, groups)
    return Recounted(sum(map(len, groups)), faults)


Units = Mapping[str, int]
_CHANGED, _GONE, _NEW = (
    "the file was changed after the run had read it",
    "the file was removed after the run had read it",
    "the file was added after the run",
)
_BESIDE = "a file with which it is read was changed, added or removed after the run"
_READ_AGAIN = "Run the recipe again to read the source as it is now."
_EDITED = (
    "Its size and modification time are the same, so it was damaged, or edited and given its "
    "old time. Restore it, or `touch` it and run the recipe again."
)


def _units_now(
    reader: Reader, media: MediaOptions, stated: Mapping[str, Units], group: list[File]
) -> Units | str:
    """Count the units (lines, rows, ...) of a group of files. Returns the error text if they cannot
    be counted. `stated` has the numbers of units that the run counted."""
    if group[0].size < 0:
        return {FILES: 1}
    if NOT_COUNTED in stated.get(group[0].uri, {}):
        return "the run could not count them"  # the counting may have hung or crashed
    units: dict[str, int] = defaultdict(int)
    with contextlib.closing(media.open()) as opened:
        context = Context(media.base, opened, BlobFile())
        try:
            for split in cut(reader, media, tuple(group)):
                count = reader.count(split, context) or Count(NOT_COUNTED, 0)
                units[count.unit] += count.units
        except CurateError as error:
            return error.fault
    return units


def _stated(commits: Iterable[Commit]) -> dict[str, Units]:
    """Return how many units (lines, rows, ...) the run found in each group of files, according to
    its commits. The key of a group is the uri of its first file."""
    stated: dict[str, dict[str, int]] = {}
    for commit in commits:
        units = stated.setdefault(commit.origin, defaultdict(int))
        for entry in commit.counted:
            units[entry.unit] += entry.found
    return dict(stated)


def _beside(
    reader: Reader, base: str, commits: list[Commit], saved: Saved, groups: list[list[File]]
) -> Iterator[Fault]:
    """Yields a fault if a file of the source has not changed since the run, but its further files
    have changed. Further files are files that a reader reads together with a file of the source,
    such as a list of class names (`Reader.files_beside`). If several files of the source have the
    same further files, they share one fault. `commits` and `saved` are what the run recorded, and
    `groups` has the files of the source that exist now."""
    digests = {commit.part: commit.inputs_digest for commit in commits}
    changed: dict[tuple[str, ...], str] = {}
    for group in groups:
        for split in saved.by_group.get(group_key(group), ()):
            task = read_task(reader, split, base)
            if digests.get(task.part, task.inputs_digest) != task.inputs_digest:
                there = tuple(file.uri for file in reader.files_beside(split.files, base))
                changed.setdefault(there, group[0].uri)
    for there, uri in changed.items():
        names = ", ".join(there[:_NAMED]) or "there is none now"
        yield Fault(uri, f"{_BESIDE} ({names}). {_READ_AGAIN}")


def _gone(stated: Mapping[str, Units], saved: Saved, groups: list[list[File]]) -> Iterator[Fault]:
    """Yields a fault for each file that the run read and that does not exist now. `stated` and
    `saved` are what the run recorded about its files, and `groups` has the files that exist now."""
    there = {file.uri for group in groups for file in group}
    for uri in dict.fromkeys([*stated, *saved.files]):
        if uri not in there:
            yield Fault(uri, f"{_GONE}. {_READ_AGAIN}")


def _group(
    group: list[File], saved: Saved, then: Units | None, now: Units | str
) -> Iterator[Fault]:
    """Compares a group of files (read together by one task) with what the run recorded, and yields
    the differences. `then` is the number of units (lines, rows, ...) in the run; None if the run
    did not read the group. `now` is the present number, or an error text if the units cannot be
    counted.

    If sizes and times of the files have not changed since the run, or were not recorded, only the
    number of units is compared. Otherwise, each file that is new or has changed is a difference.
    """
    is_same = not saved.files or group_key(group) in saved.by_group or group[0].size < 0
    if then is not None and is_same:
        yield from _edited(group, then, now, bool(saved.files))
        return
    for file in group:
        before = saved.files.get(file.uri)
        if before is None:
            yield Fault(file.uri, f"{_NEW}. {_READ_AGAIN}")
        elif before != file:
            units = f": {_compared(then, now)}" if then and len(group) == 1 else ""
            yield Fault(file.uri, f"{_CHANGED}{units}. {_READ_AGAIN}")


def _edited(group: list[File], then: Units, now: Units | str, is_known: bool) -> Iterator[Fault]:
    """Yields a fault if a group of files has another number of units (lines, rows, ...) now than in
    the run, or if they cannot be counted now. `is_known`: whether it is known that the sizes and
    times of its files have not changed."""
    if NOT_COUNTED in then or now == then:
        return
    if isinstance(now, str):
        fix = "Restore the file, or make it readable."
        yield Fault(group[0].uri, f"{_compared(then, now)}. {fix}")
        return
    others = f" (or of one of {len(group) - 1} other files of its part)" if len(group) > 1 else ""
    fault = f"the content of the file{others} is not what the run read: {_compared(then, now)}."
    yield Fault(group[0].uri, f"{fault} {_EDITED if is_known else _READ_AGAIN}")


def _left_aside(reader: Reader, known: PassManifest, now: Units) -> Iterator[Fault]:
    """Yields a fault if the numbers of files that the source skips without an error have changed
    since the run. `now` has the present number for each suffix (`{".md": 1}`), and `known` is the
    manifest with the numbers of the run."""
    then = next((entry.left_aside for entry in known.counted if entry.unit == FILES), None)
    if then is not None and now != then:
        fault = (
            "the files that are left aside are not those of the run: "
            f"{_compared(then, now)}. {_READ_AGAIN}"
        )
        yield Fault(f"source {reader.name}", fault)


def _compared(then: Units, now: Units | str) -> str:
    if isinstance(now, str):
        return f"{_units(then)} in the run, and now they cannot be counted ({now.rstrip('.')})"
    return f"{_units(then)} in the run, {_units(now)} now"


def _units(units: Units) -> str:
    """Format numbers of units as text: `{"lines": 1200}` -> `lines 1,200`"""
    return ", ".join(f"{unit} {n:,}" for unit, n in units.items()) or "none"
