"""Checks that the files of a pass exist and have the digests that the commits state. A commit is a
JSON file that lists the files made from one part of the data; it is written after these files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from manifests import storage
from manifests.run.manifest import Commit
from manifests.step import Executor
from manifests.storage.digest import MISSING, fault_of
from manifests.storage.file_entry import FileEntry

THREADS = 8
"""Threads that read files at once in the driver (our choice). Reading and hashing release the
GIL."""
ON_WORKERS_BYTES = 16 << 30
"""Files of more bytes than this are checked on the workers, not in the driver (our choice): a local
disk needs seconds for less."""


class Damage(NamedTuple):
    """A file that is missing, or whose size or digest is not the one that its commit (a list of
    files and digests) states. `part` is the name of the commit, `entry` what the commit states
    about the file, `place` the path of the file, and `fault` describes what is wrong."""

    part: str
    entry: FileEntry
    place: str
    fault: str

    @property
    def was_read(self) -> bool:
        """Whether the damaged file exists. If it exists, later passes may have read its wrong bytes
        and may have written wrong results. A missing file cannot have been read."""
        return self.fault != MISSING


def damage(folder: str, commits: Iterable[Commit], executor: Executor) -> list[Damage]:
    """Read all files that the commits list, and return the files that are missing, or whose size or
    digest is not the one that the commit states."""
    known = list(commits)
    check = _Check(folder)
    if sum(file.size_bytes for commit in known for file in commit.files) > ON_WORKERS_BYTES:
        found = [faults for _, faults in executor.map(check, known)]
        return sorted(chain.from_iterable(found), key=lambda one: one.place)
    with ThreadPoolExecutor(THREADS) as threads:
        return [*chain.from_iterable(threads.map(check, known))]


def unchanged(folder: str, commit: Commit) -> bool:
    """Whether all files that a commit lists exist and have the digests that the commit states."""
    return not any(_faults(folder, commit))


@dataclass(frozen=True)
class _Check:
    """Reads the files that a commit lists, in `folder`, and returns the files that are missing, or
    whose size or digest is not the one that the commit states. Runs in a thread or on a worker."""

    folder: str

    def __call__(self, commit: Commit) -> list[Damage]:
        return list(_faults(self.folder, commit))


def _faults(folder: str, commit: Commit) -> Iterator[Damage]:
    for entry in commit.files:
        place = storage.join(folder, entry.name)
        fault = fault_of(place, entry)
        if fault is not None:
            yield Damage(commit.part, entry, place, fault)
