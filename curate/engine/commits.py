"""Checks that the files of parts exist and have the digests that the commits state. A commit is the
JSON file that is written last for a part, and lists the part's files."""

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
    """A file that is missing, or whose size or digest is not the one in its commit: the part, the
    file's entry and path, and the fault."""

    part: str
    entry: FileEntry
    place: str
    fault: str

    @property
    def was_read(self) -> bool:
        """Whether the damaged file exists. If so, later passes may have read its wrong bytes and
        made parts from them; a missing file was not read."""
        return self.fault != MISSING


def damage(folder: str, commits: Iterable[Commit], executor: Executor) -> list[Damage]:
    """Read all files that these commits list, and return the files that differ from their entries
    in the commits."""
    known = list(commits)
    check = _Check(folder)
    if sum(file.size_bytes for commit in known for file in commit.files) > ON_WORKERS_BYTES:
        found = [faults for _, faults in executor.map(check, known)]
        return sorted(chain.from_iterable(found), key=lambda one: one.place)
    with ThreadPoolExecutor(THREADS) as threads:
        return [*chain.from_iterable(threads.map(check, known))]


def unchanged(folder: str, commit: Commit) -> bool:
    """Whether all files of a commit exist and have the digests recorded in it."""
    return not any(_faults(folder, commit))


@dataclass(frozen=True)
class _Check:
    """Compares the files that a commit lists with their entries in the commit, in a thread or on a
    worker. Returns the files that differ. `folder` has the files."""

    folder: str

    def __call__(self, commit: Commit) -> list[Damage]:
        return list(_faults(self.folder, commit))


def _faults(folder: str, commit: Commit) -> Iterator[Damage]:
    for entry in commit.files:
        place = storage.join(folder, entry.name)
        fault = fault_of(place, entry)
        if fault is not None:
            yield Damage(commit.part, entry, place, fault)
