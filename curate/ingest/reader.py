"""The contract of a reader: it lists files, cuts them into splits, and turns a split into records.

The fields of a reader are its settings, as for a step. A reader downloads nothing and unpacks no
archive. Every input in a split becomes a record or a Failure. The docstring of a reader lists the
inputs that it leaves aside.
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
"""Records in one batch of a reader (ours: about a megabyte of references)."""
SPLIT_BYTES = 64 << 20
"""Bytes of text, or of row groups, in one split (ours: a task takes seconds and little memory)."""


class Split(NamedTuple):
    """What one task reads: part of one file, or several complete files.

    The part goes from `start` to before `stop`, in bytes or in row groups: each reader has its own
    unit. If `stop` is -1, the part goes to the end of the file. `first` is the number of rows or
    lines before the part.
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
        """The failure for an error.

        If a RowError has a place, it is the media file with the fault, and the message names it.
        The message does not name the place of any other error: `origin` names that file already.
        """
        text = str(error) if isinstance(error, RowError) else error.message
        return cls(key, origin, type(error).__name__, text)


class ReadBatch(NamedTuple):
    """Records of a split, in the record schema, and the failures among the same inputs."""

    records: pa.Table
    failures: list[Failure]


class Context(NamedTuple):
    """What `read` may use. `base`: the folder that relative uris start from. `media`: opens images
    and videos. `keep`: the file for bytes that `read` copies out of its input."""

    base: str
    media: Media
    keep: BlobFile

    @property
    def limits(self) -> Limits:
        return self.media.limits


class Head(NamedTuple):
    """The start of a file, from which `sniff` recognises the format: first bytes, name and size."""

    file: File
    data: bytes


class Reader(BaseModel):
    """The settings and methods of every reader; its fields are the keys of a source in YAML."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: ClassVar[int] = 1
    renamed: ClassVar[dict[str, str]] = {}
    """Old name of a setting -> its new name. A recipe with the old name is refused, and the error
    names the new setting."""
    suffixes: ClassVar[tuple[str, ...]] = ()
    """Suffixes, in lower case, of the files that the reader takes from a folder; empty: all."""
    modality: ClassVar[str] = "caption"

    name: str = Field(
        description="name of the source, which the records have as `source`", pattern=r"^[\w.-]+$"
    )
    path: str = Field(description="a file, a folder, or a glob; local, s3:// or gs://")

    @classmethod
    @abstractmethod
    def sniff(cls, head: Head) -> bool:
        """Whether the start of a file looks like the format that this reader takes."""

    def list_files(self, base: str) -> list[File]:
        """The files of the source with one of `suffixes`. InputError if there are none."""
        where = storage.resolve(base, self.path)
        wanted = tuple(self.suffixes)
        listed = storage.list_files(where)
        files = [f for f in listed if not wanted or f.name.lower().endswith(wanted)]
        if files:
            return [f._replace(uri=recipe_uri(self.path, where, f.uri)) for f in files]
        if listed:
            ends = ", ".join(wanted)
            raise InputError(
                f"{len(listed)} files, but none ends in {ends}", self.path,
                "Name a pattern, or another reader: `curate readers` lists them."
            )  # fmt: skip
        raise InputError("no such file or folder, or nothing in it", self.path, "Check the path.")

    def splits(self, file: File, context: Context) -> Iterator[Split]:
        """The splits of one file. By default the file is one split."""
        yield Split((file,))

    def groups(self, files: list[File]) -> list[list[File]]:
        """The files in groups. A reader of many small files reads each group as one split. By
        default each group has one file, which `splits` may cut."""
        return [[file] for file in files]

    @abstractmethod
    def read(self, split: Split, context: Context) -> Iterator[ReadBatch]:
        """The records and failures of a split, in batches of about BATCH_ROWS."""

    def key(self, file: File, within: object) -> str:
        """The key of a record, from which its id is made: `train.json#12`.

        It is the file's name below the source and the record's place in the file, so it does not
        change when the dataset is moved.
        """
        return f"{file.name}#{within}"

    def origin(self, file: File, within: object) -> str:
        """Where a record comes from: the file's uri and the place in the file."""
        return f"{file.uri}#{within}"


def recipe_uri(pattern: str, where: str, found: str) -> str:
    """The uri of a listed file in the form of the recipe's path: relative if the path is.

    `recipe_uri("data/*.tar", "/base/data/*.tar", "/base/data/a.tar") -> "data/a.tar"`
    """
    if pattern == where or not where.endswith(pattern):
        return found
    return found.removeprefix(where.removesuffix(pattern))
