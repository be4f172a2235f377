"""Rewrites the files of a journal into few larger ones.

The reply to each key stays the same: neighbouring files are joined in their order, and the new file
takes the place of the first. The old files are deleted when the new one is complete on the disk and
was read back, so nothing is lost if the process is killed. A file that a running process writes is
not changed. A process that looks for an entry in a deleted file finds it in the new one. On a local
disk, a lock prevents that two processes compact a journal at the same time.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

import xxhash

from manifests import storage
from manifests.errors import StorageError
from recaption.client.entries import (
    SUFFIX,
    Line,
    files,
    framed,
    is_locked,
    lines,
    sync_folder,
    try_lock,
)

MAX_BYTES = 1 << 30
"""The most bytes of a file into which others are joined (our choice)."""
_OF_COMPACTION = re.compile("-j[0-9a-f]{12}$")
"""Matches the end of the name of a file that a compaction made. The next compaction replaces it, so
that the names do not become longer and longer."""


class Compacted(NamedTuple):
    """The number of files before and after the rewrite. `in_use` is the number of files that were
    not joined, because a running process writes them. `repeated` is the number of lines that were
    left out because an earlier line has the same key or content. `damaged` is the number of lines
    that were left out because they are damaged."""

    before: int
    after: int
    in_use: int
    repeated: int
    damaged: int


def compact(folder: str) -> Compacted:
    """Rewrite the journal in `folder`, except for the files that running processes write. Raises
    StorageError if another process compacts it now."""
    with _alone(folder):
        storage.clear_unfinished(folder)  # of compactions that were killed
        found = files(folder)
        in_use = {uri for uri in found if not storage.is_remote(uri) and is_locked(uri)}
        repeated = damaged = 0
        for is_used, group in groupby(found, key=lambda uri: uri in in_use):
            for uris in [] if is_used else _groups(list(group)):
                again, broken = _join(folder, uris)
                repeated, damaged = repeated + again, damaged + broken
        return Compacted(len(found), len(files(folder)), len(in_use), repeated, damaged)


@contextlib.contextmanager
def _alone(folder: str) -> Iterator[None]:
    """Lock a local folder during a `with` block, if its file system has locks."""
    if storage.is_remote(folder):
        yield
        return
    with storage.storage_errors(folder):
        handle = os.open(folder, os.O_RDONLY)
    try:
        with storage.storage_errors(folder):
            is_alone = try_lock(handle, fcntl.LOCK_EX)
        if not is_alone:
            fault = "another process compacts this journal now"
            raise StorageError(fault, folder, "Wait until it has ended.")
        yield
    finally:
        os.close(handle)


def _groups(uris: list[str]) -> Iterator[list[str]]:
    """Yield groups of consecutive files. A group has at most `MAX_BYTES`, or is a single larger
    file."""
    group, size = list[str](), 0
    for uri in uris:
        own = (storage.size_and_stamp(uri) or (0, 0))[0]
        if group and size + own > MAX_BYTES:
            yield group
            group, size = [], 0
        group.append(uri)
        size += own
    if group:
        yield group


def _join(folder: str, uris: list[str]) -> tuple[int, int]:
    """Joins files into a new one, and deletes them. Returns two numbers of lines that were left
    out: the number of repeated lines, and the number of damaged lines."""
    if len(uris) < 2:
        return 0, 0
    first = _OF_COMPACTION.sub("", storage.base_name(uris[0]).removesuffix(SUFFIX))
    uri = storage.join(folder, f"{first}-j{secrets.token_hex(6)}{SUFFIX}")  # sorts before `first`
    found = _Found()
    with storage.writing(uri) as sink:
        for old in uris:
            for line in lines(old):
                if data := found.new(line):
                    sink.write(framed(data))
    if not storage.is_remote(folder):
        with storage.storage_errors(folder):
            sync_folder(folder)
    if sum(line.entry is not None for line in lines(uri)) != len(found.seen):
        storage.delete(uri)
        raise StorageError("the joined file lacks entries; the old files are kept", uri)
    for old in uris:
        storage.delete(old)
    return found.repeated, found.damaged


class _Found:
    """Remembers which lines were found. A line with a reply is known by its key, a line with counts
    by its content."""

    def __init__(self) -> None:
        self.seen = set[bytes]()
        self.repeated = self.damaged = 0

    def new(self, line: Line) -> bytes | None:
        """Returns the JSON of a line; None if the line is damaged or was found before."""
        if line.data is None or line.entry is None:
            self.damaged += 1
            return None
        what = line.key or xxhash.xxh3_128_digest(line.data) + b"sums"
        if what in self.seen:
            self.repeated += 1
            return None
        self.seen.add(what)
        return line.data
