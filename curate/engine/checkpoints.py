"""The sidecar of a part, written in segments if the part takes long, so that a crash loses seconds
of work.

Segments are in a folder of their own and are committed one by one. At the end they are joined. The
bytes of the sidecar do not depend on where one segment ended and the next began.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pyarrow as pa

from curate.engine.commits import unchanged
from curate.engine.part_files import BLOBS, PART, blobs_uri
from manifests import storage
from manifests.media.blobs import BlobFile
from manifests.run import manifest
from manifests.run.manifest import Commit
from manifests.storage import parts
from manifests.storage.file_entry import FileEntry

SECONDS = 5.0
"""A segment is committed when it has taken so long (ours)."""
FOLDER = "segments"


class Checkpoints:
    """The segments of one part. `batches`: how many batches the committed ones hold.

    `earlier_blobs`: a file of blobs that the new ones are appended to.
    """

    def __init__(
        self, folder: str, part: str, inputs_digest: str, schema: pa.Schema, earlier_blobs: str = ""
    ) -> None:
        self._folder, self._part, self._digest, self._schema = folder, part, inputs_digest, schema
        self._segments = storage.join(folder, FOLDER, part)
        storage.make_folder(self._segments)
        self._earlier = earlier_blobs
        self._commits = self._committed()
        self._tables: list[pa.Table] = []
        self._stack = contextlib.ExitStack()
        self._start()

    @property
    def batches(self) -> int:
        return sum(int(commit.detail["batches"]) for commit in self._commits)

    def add(self, table: pa.Table) -> None:
        """Add the measures of one batch. If SECONDS have passed, commit the batches added so far as
        a segment."""
        self._tables.append(table.select(self._schema.names).cast(self._schema))
        if time.monotonic() - self._started >= SECONDS:
            self._commit()
            self._start()

    def finish(self) -> list[FileEntry]:
        """Join all segments to the sidecar and the blobs of the part."""
        if self._tables:
            self._commit()
        self._stack.close()
        uri = storage.join(self._folder, self._part + PART)
        with parts.writing(uri, self._schema) as sidecar:
            for table in self._joined():
                sidecar.write(table)
        return [sidecar.entry, *self._join_blobs()]

    def delete(self) -> None:
        """Delete the segments, once the part is committed."""
        storage.delete_folder(self._segments)

    def close(self) -> None:
        self._stack.close()

    def _start(self) -> None:
        """Begin a segment."""
        self._started, self._tables = time.monotonic(), []
        uri = storage.join(self._segments, self._name + BLOBS)
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
        uri = storage.join(self._segments, name + PART)
        files = [parts.write(uri, self._schema, self._tables, durable=False)]
        if blobs.sink is not None:
            size, digest = blobs.sink.size_bytes, blobs.sink.digest
            files.append(FileEntry(name=name + BLOBS, rows=0, size_bytes=size, digest=digest))
        commit = Commit(
            part=name,
            inputs_digest=self._digest,
            rows=files[0].rows,
            files=files,
            detail={"batches": len(self._tables)},
        )
        manifest.save(commit, storage.join(self._segments, f"{name}.json"), durable=False)
        self._commits.append(commit)
        self._tables = []

    def _committed(self) -> list[Commit]:
        """The segments of an earlier attempt, up to the first that is missing or broken."""
        found: list[Commit] = []
        while True:
            commit = manifest.load_commit(storage.join(self._segments, f"{len(found):05d}.json"))
            if commit is None or commit.inputs_digest != self._digest:
                return found
            if not unchanged(self._segments, commit):
                return found
            found.append(commit)

    def _joined(self) -> Iterator[pa.Table]:
        for commit in self._commits:
            yield from parts.read(storage.join(self._segments, commit.files[0].name))

    def _join_blobs(self) -> list[FileEntry]:
        blobs = [storage.join(self._segments, f.name) for c in self._commits for f in c.files[1:]]
        blobs = [uri for uri in (self._earlier, *blobs) if uri]
        if not blobs:
            return []
        name = self._part + BLOBS
        with storage.writing(storage.join(self._folder, name)) as sink:
            for uri in blobs:
                with storage.open_input(uri) as file:
                    while chunk := file.read(1 << 22):
                        sink.write(chunk)
        return [FileEntry(name=name, rows=0, size_bytes=sink.size_bytes, digest=sink.digest)]


def clear(folder: str) -> None:
    """Delete all segments of a pass that is complete."""
    storage.delete_folder(storage.join(folder, FOLDER))
