"""Writes the files of one part: its kept, dropped and quarantined rows, and its commit.

A part has the records, or some of the records, of one split of a source (a range of a file, or a
group of files). Its commit
is a JSON file that is written last and lists the other files with their digests; a part counts as
complete only if it has a commit.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from manifests import record, storage
from manifests.media import KEPT
from manifests.media.blobs import BlobFile
from manifests.run import manifest
from manifests.run.counted import Counted
from manifests.run.file_names import BLOBS, COMMIT, DROPPED, PART, QUARANTINE
from manifests.run.ledger import Account, check, total
from manifests.run.manifest import Commit
from manifests.storage import parts
from manifests.storage.file_entry import FileEntry

REMOVED_ROWS, REMOVED_BYTES = 8192, 8 << 20
"""How many removed rows, and how many bytes of them, are held in memory at most before they are
written (our choice)."""


class RemovedRows:
    """Writes the rows that steps removed to a file. The file is made only if a row was removed.

    Rows are held in memory until there are enough of them for a record batch.
    """

    def __init__(self, uri: str, stack: contextlib.ExitStack) -> None:
        self._uri, self._stack = uri, stack
        self._held: list[pa.Table] = []
        self._rows = self._bytes = 0
        self._file: parts.Writer | None = None
        stack.callback(self._write)

    def add(self, table: pa.Table) -> None:
        if table.num_rows:
            self._held.append(table)
            self._rows += table.num_rows
            self._bytes += table.nbytes
            if self._rows >= REMOVED_ROWS or self._bytes >= REMOVED_BYTES:
                self._write()

    def _write(self) -> None:
        if not self._held:
            return
        table = pa.concat_tables(self._held)
        if self._file is None:
            self._file = self._stack.enter_context(parts.writing(self._uri, table.schema))
            self._stack.callback(self._write)
        self._file.write(table)
        self._held, self._rows, self._bytes = [], 0, 0

    @property
    def entries(self) -> list[FileEntry]:
        """What the commit states about the file of removed rows, as a list with one entry; an empty
        list if no row was removed. Valid after the file is closed."""
        return [] if self._file is None else [self._file.entry]


class PartFiles:
    """Writes the rows of a part batch by batch, to a file of kept rows and, if there are any, to a
    file of dropped and a file of quarantined rows."""

    def __init__(
        self,
        folder: str,
        part: str,
        kept: parts.Writer,
        blobs: BlobFile,
        stack: contextlib.ExitStack,
    ) -> None:
        self.folder, self.part, self._kept, self.blobs = folder, part, kept, blobs
        self._dropped = RemovedRows(storage.join(folder, part + DROPPED), stack)
        self._quarantined = RemovedRows(storage.join(folder, part + QUARANTINE), stack)
        self._accounts: list[Account] = []
        self._media_bytes = self._text_bytes = self.size_bytes = 0

    def keep(self, batch: pa.Table) -> None:
        """Write a batch of kept rows."""
        if batch.num_rows:
            self.size_bytes += batch.nbytes
            self._media_bytes += _sum(batch["media"], "length")
            self._text_bytes += _sum(batch["content"], "text")
            self._kept.write(batch)

    def account(
        self, account: Account, quarantined: pa.Table, dropped: pa.Table | None = None
    ) -> None:
        """Add `account`, the numbers of rows that one step kept, dropped and quarantined in one
        batch, and write the rows that the step removed."""
        self._accounts.append(account)
        self._quarantined.add(quarantined)
        if dropped is not None:
            self._dropped.add(dropped)

    def commit(
        self,
        inputs_digest: str,
        origin: str,
        steps: list[str],
        counted: list[Counted] | None = None,
        detail: dict[str, Any] | None = None,
        more: list[str] | None = None,
    ) -> Commit:
        """Write the commit, the JSON file that lists all files of the part. With the commit, the
        part is complete. Call this after the other files are closed.

        `inputs_digest` identifies the inputs of the part, `origin` names the inputs, and `counted`
        has the numbers of their units (lines, rows, ...). `steps` lists all steps: each step gets
        an entry in the counts, even if no row reached the step. `detail` has further facts to save.
        `more` has the names of the other parts that the same task made; their commits must be
        written already.
        """
        commit = Commit(
            part=self.part,
            inputs_digest=inputs_digest,
            origin=origin,
            rows=self._kept.rows,
            media_bytes=self._media_bytes,
            text_bytes=self._text_bytes,
            files=[
                self._kept.entry,
                *self._dropped.entries,
                *self._quarantined.entries,
                *blob_entries(self.part + BLOBS, self.blobs),
            ],
            ledger=self._ledger(steps),
            counted=counted or [],
            more=more or [],
            detail=detail or {},
        )
        check(commit.ledger, origin)
        save_commit(self.folder, commit)
        return commit

    def _ledger(self, steps: list[str]) -> list[Account]:
        known = total(self._accounts)
        names = {account.step for account in known}
        return known + [Account(step=name) for name in steps if name not in names]


@contextlib.contextmanager
def writing(
    folder: str, part: str, schema: pa.Schema, blobs: BlobFile | None = None
) -> Iterator[PartFiles]:
    """Open the files of a part for writing. An earlier commit of the part is deleted first, because
    the files that it lists change.

    Call `commit` after the `with` block, because the file of kept rows is complete only then.
    `blobs` is a file of blobs that is already open, which the commit lists too.
    """
    storage.delete(commit_uri(folder, part))
    with contextlib.ExitStack() as stack:
        kept = stack.enter_context(parts.writing(storage.join(folder, part + PART), schema))
        yield PartFiles(folder, part, kept, blobs or open_blobs(stack, folder, part), stack)


def open_blobs(stack: contextlib.ExitStack, folder: str, part: str) -> BlobFile:
    """Return the file for the blobs of a part: bytes that a reader or a step stores, such as
    images. The file is complete when `stack` is closed."""
    uri = storage.join(folder, part + BLOBS)
    return BlobFile(blobs_uri(folder, part), lambda: stack.enter_context(storage.writing(uri)))


def blobs_uri(folder: str, part: str) -> str:
    """The uri by which records refer to the blob file of a part."""
    return f"{KEPT}{storage.base_name(folder)}/{part}{BLOBS}"


def blob_entries(name: str, blobs: BlobFile) -> list[FileEntry]:
    """Return what the commit states about the file of blobs, as a list with one entry; an empty
    list if no blobs were stored."""
    return [] if blobs.sink is None else [blobs.sink.entry(name)]


def commit_uri(folder: str, part: str) -> str:
    return storage.join(folder, part + COMMIT)


def load_commit(folder: str, part: str) -> Commit | None:
    """Read the commit of a part, the JSON file that lists the part's other files; None if the part
    has no commit, or a damaged one."""
    return manifest.load_commit(commit_uri(folder, part))


def save_commit(folder: str, commit: Commit) -> None:
    manifest.save(commit, commit_uri(folder, commit.part))


def _sum(lists: pa.ChunkedArray, field: str) -> int:
    """Sum a field of structs over `lists`, a column of lists of structs. For a text field, sum the
    lengths in bytes."""
    values = pc.struct_field(record.one_chunk(lists).flatten(), field)
    if pa.types.is_string(values.type):
        values = pc.binary_length(values)
    return pc.sum(values).as_py() or 0
