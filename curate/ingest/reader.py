"""The contract of a reader: list files, cut them into splits, and turn a split into records.

A reader is its settings, as a step is. It never fetches anything, and never unpacks an archive.
What cannot become a record is handed on as a Failure: nothing that a split holds goes unanswered.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import ClassVar, NamedTuple

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from manifests import storage
from manifests.errors import CurateError, InputError, RowError
from manifests.media import Limits, Media
from manifests.media.blobs import BlobFile
from manifests.storage import File

BATCH_ROWS = 4096
"""Records a reader gathers before it hands them on (ours: about a megabyte of references)."""
SPLIT_BYTES = 64 << 20
"""Text and row-group bytes in one split (ours: seconds of work, and memory stays flat)."""


class Split(NamedTuple):
    """A stretch of one file, or a group of whole files, that one task reads.

    `start` and `stop` count what the reader counts in (bytes, members, row groups); `first` is the
    number of the first row or line in it. `stop` of -1: to the end.
    """

    files: tuple[File, ...]
    start: int = 0
    stop: int = -1
    first: int = 0


class Failure(NamedTuple):
    """An input that could not become a record. `error` is the name of the error's class."""

    key: str
    origin: str
    error: str
    message: str

    @classmethod
    def of(cls, key: str, origin: str, error: CurateError) -> Failure:
        """A failure with the error's text.

        A RowError's place is the media file at fault, which the text names; the place of any other
        error is the origin itself.
        """
        text = str(error) if isinstance(error, RowError) else error.message
        return cls(key, origin, type(error).__name__, text)


class ReadBatch(NamedTuple):
    """Some records of a split, in the record schema, and the failures beside them."""

    records: pa.Table
    failures: list[Failure]


class Context(NamedTuple):
    """What a reader may use: the folder relative uris start from, media, a place to keep bytes."""

    base: str
    media: Media
    keep: BlobFile

    @property
    def limits(self) -> Limits:
        return self.media.limits


class Head(NamedTuple):
    """What sniffing looks at: the file's name, its size, and its first bytes."""

    file: File
    data: bytes


class Reader(BaseModel):
    """What every reader has; its fields are the YAML of a source."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: ClassVar[int] = 1
    renamed: ClassVar[dict[str, str]] = {}
    """Old names of settings, each with its name now: a recipe that uses an old one is refused
    with the new one."""
    suffixes: ClassVar[tuple[str, ...]] = ()
    """File name endings it takes when a folder is given; empty: every file."""
    keeps_bytes: ClassVar[bool] = False
    """Whether media lie inside the file in a form that no offset can point into."""
    modality: ClassVar[str] = "caption"

    name: str = Field(description="what the records' `source` says", pattern=r"^[\w.-]+$")
    path: str = Field(description="a file, a folder, or a glob; local, s3:// or gs://")

    @classmethod
    @abstractmethod
    def sniff(cls, head: Head) -> bool:
        """Whether a file's content looks like what this reader takes."""

    def list_files(self, base: str) -> list[File]:
        """The files of the source; an error where there are none."""
        where = storage.resolve(base, self.path)
        wanted = tuple(self.suffixes)
        listed = storage.list_files(where)
        files = [f for f in listed if not wanted or f.name.lower().endswith(wanted)]
        if files:
            return [f._replace(uri=recipe_uri(self.path, where, f.uri)) for f in files]
        if listed:
            ends = ", ".join(wanted)
            raise InputError(
                f"{len(listed)} files, none of which ends in {ends}", self.path,
                "Name a pattern, or another reader: `curate readers` lists them."
            )  # fmt: skip
        raise InputError("no such file or folder, or nothing in it", self.path, "Check the path.")

    def splits(self, file: File, context: Context) -> Iterator[Split]:
        """Cut one file; most readers need not, and read a file in one task."""
        yield Split((file,))

    def grouped(self, files: list[File]) -> list[list[File]]:
        """Files that are cut, or read, together: each by itself unless they are many and small."""
        return [[file] for file in files]

    @abstractmethod
    def read(self, split: Split, context: Context) -> Iterator[ReadBatch]:
        """The records of a split, in batches of about BATCH_ROWS."""

    def key(self, file: File, within: object) -> str:
        """The key of a record: the file's name below the source, and its place in the file."""
        return f"{file.name}#{within}"

    def origin(self, file: File, within: object) -> str:
        return f"{file.uri}#{within}"


def recipe_uri(pattern: str, where: str, found: str) -> str:
    """A found file's uri as the recipe would write it: relative where the recipe's path is."""
    if pattern == where or not where.endswith(pattern):
        return found
    return found.removeprefix(where.removesuffix(pattern))
