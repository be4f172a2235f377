"""What a task that writes one shard is given, and what it answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from curate.emit.settings import Shards
from manifests import storage
from manifests.errors import RowError
from manifests.media import Media
from manifests.run.manifest import FileEntry


class Job(NamedTuple):
    """Shard `number` of `shards`: its rows in final order, to be written into `folder`."""

    folder: str
    number: int
    shards: int
    table: pa.Table
    media: Media
    settings: Shards

    def name(self, ending: str) -> str:
        return f"data-{self.number:05d}-of-{self.shards:05d}{ending}"

    def uri(self, ending: str) -> str:
        return storage.join(self.folder, self.name(ending))

    def entry(self, ending: str, rows: int, sink: storage.Sink) -> FileEntry:
        """What was written, once the block that wrote it has ended."""
        return FileEntry(
            name=self.name(ending), rows=rows, size_bytes=sink.size_bytes, digest=sink.digest
        )


class Quarantined(NamedTuple):
    """A record that could not be written. `error` is the name of the error's class."""

    id: str
    source: str
    origin: str
    error: str
    message: str


class Batch(NamedTuple):
    """Where a record batch begins in its file, in bytes, and how many rows it has."""

    offset: int
    rows: int


class ShardCommit(BaseModel):
    """A shard that exists. As JSON it comes back as it was."""

    model_config = ConfigDict(frozen=True)

    number: int
    rows: int
    files: list[FileEntry] = Field(description="the shard, then the media files it names")
    batches: list[Batch] = Field(default_factory=list, description="of an Arrow shard")
    quarantined: list[Quarantined] = Field(default_factory=list)

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)


def quarantined(table: pa.Table, errors: Iterable[tuple[int, RowError]]) -> list[Quarantined]:
    """The rows, by number, that these errors are about."""
    told = dict(errors)
    who = table.select(["id", "source", "origin"]).take(pa.array(list(told), pa.int64()))
    return [
        Quarantined(**row, error=type(error).__name__, message=str(error))
        for row, error in zip(who.to_pylist(), told.values(), strict=True)
    ]
