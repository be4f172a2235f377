"""The input and the result of the task that writes one shard."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from curate.emit.settings import Shards
from manifests import storage
from manifests.errors import RowError
from manifests.media import Media
from manifests.storage.file_entry import FileEntry


class Job(NamedTuple):
    """The task of writing shard `number` of `shards` into `folder`. `tables` yields the rows of the
    shard in final order, once; all tables have the columns `schema`."""

    folder: str
    number: int
    shards: int
    schema: pa.Schema
    tables: Iterable[pa.Table]
    media: Media
    settings: Shards

    def name(self, ending: str) -> str:
        return f"data-{self.number:05d}-of-{self.shards:05d}{ending}"

    def uri(self, ending: str) -> str:
        return storage.join(self.folder, self.name(ending))


class Quarantined(NamedTuple):
    """A record that could not be written: its id, source and origin (its place in the source), the
    name of the error's class, and the error's message."""

    id: str
    source: str
    origin: str
    error: str
    message: str


class Batch(NamedTuple):
    """The position of a record batch in its file: its offset in bytes, and its number of rows."""

    offset: int
    rows: int


class ShardCommit(BaseModel):
    """The result of writing shard `number`: its files, and the records that could not be written.
    The value can be converted to JSON and back."""

    model_config = ConfigDict(frozen=True)

    number: int
    rows: int
    files: list[FileEntry] = Field(description="the shard, then its media files")
    batches: list[Batch] = Field(default_factory=list, description="only for Arrow shards")
    quarantined: list[Quarantined] = Field(default_factory=list)

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)


def quarantined(table: pa.Table, errors: Iterable[tuple[int, RowError]]) -> list[Quarantined]:
    """Returns the entries of rows that could not be written; `errors` are pairs of row number and
    error."""
    error_of_row = dict(errors)
    numbers = pa.array(list(error_of_row), pa.int64())
    identities = table.select(["id", "source", "origin"]).take(numbers)
    return [
        Quarantined(**row, error=type(error).__name__, message=str(error))
        for row, error in zip(identities.to_pylist(), error_of_row.values(), strict=True)
    ]
