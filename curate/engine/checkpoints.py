"""Every few seconds, saves the rows that a costly step has measured, so that an interrupted run
continues after the last saved row.

The rows of one file of records (a part) have their own folder of checkpoints. When all rows are
measured, the checkpoints are joined into one file, the sidecar of the part. The bytes of the
sidecar do not depend on where one checkpoint ended and the next began.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pyarrow as pa

from curate.engine.commits import unchanged
from curate.engine.part_files import blobs_uri
from manifests import storage
from manifests.errors import ManifestError
from manifests.media.blobs import BlobFile
from manifests.run import manifest
from manifests.run.file_names import BLOBS, COMMIT, PART
from manifests.run.manifest import Commit
from manifests.storage import parts
from manifests.storage.file_entry import FileEntry

SECONDS = 5.0
"""Seconds between two checkpoints (our choice)."""
FOLDER = "checkpoints"
BATCH_ROWS = 8192
"""The number of rows in a record batch of the sidecar (our choice)."""


class Checkpoints:
    """The checkpoints of one part (one file of records): rows that a costly step has measured,
    saved before all rows of the part are measured. `rows` is the number of rows that an earlier,
    interrupted attempt has saved.

    `earlier_blobs` is the uri of the blobs (bytes that the step stored, such as images) of an
    earlier attempt; new blobs are appended to a copy of this file.
    """

    def __init__(
        self, folder: str, part: str, inputs_digest: str, schema: pa.Schema, earlier_blobs: str = ""
    ) -> None:
        self._folder, self._part, self._digest, self._schema = folder, part, inputs_digest, schema
        self._place = storage.join(folder, FOLDER, part)
        storage.make_folder(self._place)
        self._earlier = earlier_blobs
        self._commits = self._committed()
        self.rows = sum(commit.rows for commit in self._commits)
        self._tables: list[pa.Table] = []
        self._stack = contextlib.ExitStack()
        self._start()

    def add(self, table: pa.Table) -> None:
        """Add the measures of one batch. If SECONDS have passed since the last checkpoint, save a
        checkpoint."""
        self._tables.append(table.select(self._schema.names).cast(self._schema))
        if time.monotonic() - self._started >= SECONDS:
            self.save()

    def save(self) -> None:
        """Save a checkpoint of the batches that were added since the last one."""
        if self._tables:
            self._commit()
            self._start()

    def finish(self, rows: int) -> list[FileEntry]:
        """Join all checkpoints into the files of the part: its sidecar (the measures) and, if the
        step stored bytes, its blob file.

        Raises ManifestError if the checkpoints do not have `rows` rows in total.
        """
        if self._tables:
            self._commit()
        self._stack.close()
        uri = storage.join(self._folder, self._part + PART)
        found = sum(commit.rows for commit in self._commits)
        if found != rows:
            raise ManifestError(
                f"the checkpoints have {found} rows in total, but {rows} rows were measured", uri
            )
        with parts.writing(uri, self._schema) as sidecar:
            for table in _in_batches(self._joined(), self._schema):
                sidecar.write(table)
        return [sidecar.entry, *self._join_blobs()]

    def delete(self) -> None:
        """Delete the checkpoints. Call this only after the joined files are saved."""
        storage.delete_folder(self._place)

    def close(self) -> None:
        self._stack.close()

    def _start(self) -> None:
        self._started, self._tables = time.monotonic(), []
        uri = storage.join(self._place, self._name + BLOBS)
        self.blobs = BlobFile(
            blobs_uri(self._folder, self._part),
            lambda: self._stack.enter_context(storage.writing(uri, durable=False)),
            self._blob_bytes(),
        )

    @property
    def _name(self) -> str:
        return f"{len(self._commits):05d}"

    def _blob_bytes(self) -> int:
        found = storage.size_and_stamp(self._earlier) if self._earlier else None
        before = found[0] if found else 0
        return before + sum(f.size_bytes for c in self._commits for f in c.files[1:])

    def _commit(self) -> None:
        name, blobs = self._name, self.blobs
        self._stack.close()
        uri = storage.join(self._place, name + PART)
        files = [parts.write(uri, self._schema, self._tables, durable=False)]
        if blobs.sink is not None:
            files.append(blobs.sink.entry(name + BLOBS))
        commit = Commit(part=name, inputs_digest=self._digest, rows=files[0].rows, files=files)
        manifest.save(commit, storage.join(self._place, f"{name}.json"), durable=False)
        self._commits.append(commit)
        self._tables = []

    def _committed(self) -> list[Commit]:
        """The checkpoints that an interrupted run saved, in order. If a checkpoint is missing or
        damaged, or was made from other inputs, this checkpoint and all later ones are left out."""
        found: list[Commit] = []
        while True:
            commit = manifest.load_commit(storage.join(self._place, f"{len(found):05d}.json"))
            if commit is None or commit.inputs_digest != self._digest:
                return found
            if not unchanged(self._place, commit):
                return found
            found.append(commit)

    def _joined(self) -> Iterator[pa.Table]:
        for commit in self._commits:
            yield from parts.read(storage.join(self._place, commit.files[0].name))

    def _join_blobs(self) -> list[FileEntry]:
        blobs = [storage.join(self._place, f.name) for c in self._commits for f in c.files[1:]]
        blobs = [uri for uri in (self._earlier, *blobs) if uri]
        if not blobs:
            return []
        name = self._part + BLOBS
        with storage.writing(storage.join(self._folder, name)) as sink:
            for uri in blobs:
                with storage.open_input(uri) as file:
                    while chunk := file.read(1 << 22):
                        sink.write(chunk)
        return [sink.entry(name)]


def _in_batches(tables: Iterator[pa.Table], schema: pa.Schema) -> Iterator[pa.Table]:
    """Join all tables, and yield their rows again in tables of BATCH_ROWS rows; the last table may
    be smaller."""
    waiting, rows = [schema.empty_table()], 0
    for table in tables:
        waiting.append(table)
        rows += table.num_rows
        while rows >= BATCH_ROWS:
            joined = pa.concat_tables(waiting).combine_chunks()
            yield joined.slice(0, BATCH_ROWS)
            waiting, rows = [joined.slice(BATCH_ROWS)], rows - BATCH_ROWS
    if rows:
        yield pa.concat_tables(waiting)


def saved_rows(folder: str, part: str) -> int:
    """Return how many rows the checkpoints of an unfinished part have."""
    place = storage.join(folder, FOLDER, part)
    names = [name for name in storage.names(place) if name.endswith(COMMIT)]
    commits = [manifest.load_commit(storage.join(place, name)) for name in names]
    return sum(commit.rows for commit in commits if commit)


def clear(folder: str) -> None:
    """Delete all checkpoints of a completed pass."""
    storage.delete_folder(storage.join(folder, FOLDER))
