"""The contract of a reader: it lists files, cuts them into splits, and turns a split into records.

The fields of a reader are its settings, as for a step. A reader downloads nothing and unpacks no
archive. Every input in a split becomes a record or a Failure, or is left aside: it is counted, but
is neither a record nor an error. The docstring of a reader lists the inputs that it leaves aside.

The engine checks that no input is lost. `count` counts the units of a split (lines, rows, elements,
members) on disk without parsing them; `ReadBatch` and `Failure` state how many units became
records, failed, or were left aside. If the two numbers of units of a split differ, the
difference is reported as a failure.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar, NamedTuple

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, field_validator

from curate.ingest.evidence import Findings
from curate.ingest.source_files import EXCLUDED, SourceFiles, ending_of, excluding, sort_files
from manifests import storage
from manifests.errors import CurateError, InputError, RowError
from manifests.media import Limits, Media
from manifests.media.blobs import BlobFile
from manifests.run.counted import FILES
from manifests.setting_values import Names, plain_number
from manifests.storage import File

BATCH_ROWS = 4096
"""Number of records in one batch of a reader (our choice: about a megabyte of references)."""
SPLIT_BYTES = 64 << 20
"""Size of one split in bytes of text or of row groups (our choice: a task takes seconds and little
memory)."""


class Split(NamedTuple):
    """The input of one task: a range of one file, or several complete files.

    The range is `start` to `stop` (exclusive), in the unit of the reader: bytes or row groups. If
    `stop` is -1, the range ends at the end of the file. `first` is the number of rows or lines
    before the range.
    """

    files: tuple[File, ...]
    start: int = 0
    stop: int = -1
    first: int = 0


class Failure(NamedTuple):
    """An input that could not be made into a record. `error` is the name of the error's class.

    `units` is the number of units (such as lines) that the input has, in the unit of
    `Reader.count`: it is 40 for a range of 40 lines that cannot be read. `rows` is the number of
    quarantined rows that the run counts for the input; None: as many as `units`. An input of
    several units that would have been one record, such as a tar sample of three members, has
    `rows=1`. `later` is true if the cause is temporary.
    """

    key: str
    origin: str
    error: str
    message: str
    units: int = 1
    rows: int | None = None
    later: bool = False

    @property
    def counts_as(self) -> int:
        """The number of quarantined rows that the run counts for the failure: `rows`, or `units` if
        `rows` is None."""
        return self.units if self.rows is None else self.rows

    @classmethod
    def of(
        cls, key: str, origin: str, error: CurateError, units: int = 1, rows: int | None = None
    ) -> Failure:
        """Makes a Failure from an error. `units` and `rows` are the fields of Failure.

        A RowError may have a place: the media file with the fault. The message of the Failure then
        includes this place. The message of any other error is stored without the error's place,
        because `origin` already names it.
        """
        text = str(error) if isinstance(error, RowError) else error.message
        return cls(key, origin, type(error).__name__, text, units, rows)


_NONE: Mapping[str, int] = MappingProxyType({})
_NOTHING: Findings = MappingProxyType({})


class Count(NamedTuple):
    """The number of units (lines, rows, ...) that a split has on disk, counted without parsing the
    units: `Count("lines", 100, {"blank": 2})`.

    `left_aside` has the number of units without content, by kind: `{"blank": 2}` for two blank
    lines. `is_whole` is false if a fault hides the rest of the split, so that there may be more
    units.
    """

    unit: str
    units: int
    left_aside: Mapping[str, int] = _NONE
    is_whole: bool = True


class ReadBatch(NamedTuple):
    """Records of a split, in the record schema, and failures for the inputs that became no record.

    `left_aside` has the number of units that became neither a record nor a failure, by kind:
    `{"header": 1}`. `units` is the number of units from which the records were made: 6 for two tar
    samples of three members each; None: one unit for each record. `found` is the number of units on
    disk, if the reader counts the units as it reads them; one batch of the split has this number,
    and `Reader.count` is then not called. `evidence` has counts, maxima and examples that show
    whether the settings fit the source, such as the largest coordinate; `Reader.check_evidence`
    gets their sum over all batches.
    """

    records: pa.Table
    failures: list[Failure]
    left_aside: Mapping[str, int] = _NONE
    units: int | None = None
    found: Count | None = None
    evidence: Findings = _NOTHING


class Context(NamedTuple):
    """What the methods of a reader get from the engine. `base` is the folder to which uris are
    relative. `media` opens images and videos. `keep` is the file to which `read` copies bytes from
    its input."""

    base: str
    media: Media
    keep: BlobFile

    @property
    def limits(self) -> Limits:
        return self.media.limits


class Head(NamedTuple):
    """The start of a file, from which `sniff` detects the format: its first bytes, its name and its
    size. `broken` is the error of a compressed file whose start cannot be decompressed; `data` then
    has the bytes as they are in the file."""

    file: File
    data: bytes
    broken: InputError | None = None


class Reader(BaseModel):
    """The base class of readers: the settings and methods that all readers have. The fields are the
    keys of a source in YAML."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: ClassVar[int] = 1
    renamed: ClassVar[dict[str, str]] = {}
    """Maps the old name of a setting to its new name. A recipe with the old name is rejected, and
    the error names the new one."""
    suffixes: ClassVar[tuple[str, ...]] = ()
    """Lower-case suffixes of the files that the reader reads; other files of a source are left
    aside, even if `path` names a single file. If empty, all files are read."""
    modalities: ClassVar[tuple[str, ...]] = ("caption",)
    """The modalities of the records that the reader makes, the usual one first."""
    counts_while_reading: ClassVar[bool] = False
    """Whether `read` itself states how many units the split has (`ReadBatch.found`). Otherwise
    `count` is called before `read`, so that units that disappear while the file is read are
    noticed."""

    name: str = Field(
        description="name of the source; it becomes the column `source` of its records",
        pattern=r"^[\w.-]+$",
    )
    path: str = Field(description="a file, a folder, or a glob pattern; local, s3:// or gs://")
    exclude: Names = Field(
        (),
        description="glob patterns of files and folders to leave out: `*.tmp.jsonl` by name, at "
        "any depth; `2019/*.jsonl` by the path below the source",
    )

    _plain_numbers = field_validator("*", mode="before")(plain_number)

    @field_validator("exclude")
    @classmethod
    def _are_globs(cls, globs: tuple[str, ...]) -> tuple[str, ...]:
        for glob in globs:
            try:
                if not glob.removeprefix("./").strip("/"):
                    raise ValueError(f"{glob!r} is not a glob pattern: write one such as `*.tmp`")
                excluding([glob])
            except re.error as error:
                raise ValueError(f"{glob!r} is not a glob pattern: {error}") from None
        return globs

    @classmethod
    @abstractmethod
    def sniff(cls, head: Head) -> bool:
        """True if the start of a file may be in the format of this reader."""

    def check_settings(self, file: File, head: Head, context: Context) -> None:
        """Raises InputError if the start of a file contradicts the settings: for example if a
        table does not have a column that a setting names. The engine calls this method with the
        first file that `sniff` accepts, before it reads any source, so it must not read much of the
        file or open images. By default, it does nothing. `head` is the start of the file `file`.
        """

    def list_files(self, base: str) -> list[File]:
        """Returns the files that are read, followed by the entries that cannot be read, such as
        broken links. An entry that cannot be read has a negative number in place of its size.
        Raises InputError if there are no files to read. `base` is the folder to which the setting
        `path` is relative."""
        found = self.find_files(base)
        return [*found.readable, *found.faulty]

    def find_files(self, base: str) -> SourceFiles:
        """The files of the source. `readable` has the files to read, `faulty` the entries that
        cannot be read, and `left_aside` the number of files that are left aside, by kind, such as
        `{".md": 1}`. Raises InputError if no file can be read. `base` is the folder to which the
        setting `path` is relative."""
        where = storage.resolve(base, self.path)
        found = sort_files(storage.list_entries(where), self.kind_aside, self.exclude)
        if not found.readable:
            raise self._nothing_found(found, where)
        readable, faulty = (
            [f._replace(uri=recipe_uri(self.path, where, f.uri)) for f in files]
            for files in found[:2]
        )
        return found._replace(readable=readable, faulty=faulty)

    def kind_aside(self, name: str) -> str | None:
        """Returns the kind under which a file is counted if the file is left aside because of its
        name, such as `.md`; None if the file is read. By default, files without one of `suffixes`
        are left aside."""
        is_wanted = not self.suffixes or name.lower().endswith(self.suffixes)
        return None if is_wanted else ending_of(name)

    def _nothing_found(self, found: SourceFiles, where: str) -> InputError:
        """Returns the error for a source without a file to read. `where` is its path in full."""
        if found.faulty:
            first = found.faulty[0]
            fault, fix = storage.FAULTS[first.size].split(". ", 1)
            count = len(found.faulty)
            return InputError(
                f"no file can be read. {count} cannot be opened; the first is {first.name!r}: "
                f"{fault}.",
                self.path,
                fix,
            )
        total = sum(found.left_aside.values())
        if not total:
            if storage.exists(where):
                fault = "the folder has no files (the output of runs does not count)"
            elif re.search(r"[*?\[]", storage.split_query(where)[0]):
                fault = "no file matches the pattern (the output of runs does not count)"
            else:
                fault = "the path does not exist"
            return InputError(f"{fault}.", self.path, "Check the path.")
        files = f"{total} file{'' if total == 1 else 's'}"
        kinds = ", ".join(f"{kind} {n:,}" for kind, n in found.left_aside.items())
        reads = f" (suffixes: {', '.join(self.suffixes)})" if self.suffixes else ""
        fix = (
            "Use another path, or another reader: `curate readers` lists them. If the format is "
            "right, give the file one of these suffixes; a link with another name is enough."
        )
        if EXCLUDED in found.left_aside:
            fix = f"Check the setting 'exclude'. {fix}"
        return InputError(
            f"the path has {files}, but none that the reader reads{reads}; left aside: {kinds}.",
            self.path,
            fix,
        )

    def splits(self, file: File, context: Context) -> Iterator[Split]:
        """Yields the splits of one file. By default, the whole file is one split."""
        yield Split((file,))

    def groups(self, files: list[File]) -> list[list[File]]:
        """Groups the files. A reader of many small files reads each group as one split. By default,
        each group has one file, which `splits` may cut into several splits."""
        return [[file] for file in files]

    def files_beside(self, files: Sequence[File], base: str) -> list[File]:
        """Returns the files that are not files of the source, but decide what the records of
        `files` are: the names of their classes, the sizes of their images. If one of the returned
        files is new, gone or changed, `files` are read again. By default, there are none. `base` is
        the folder to which uris are relative."""
        return []

    @abstractmethod
    def read(self, split: Split, context: Context) -> Iterator[ReadBatch]:
        """Yields the records and failures of a split, in batches of about BATCH_ROWS records."""

    def count(self, split: Split, context: Context) -> Count | None:
        """The number of units (lines, rows, members of a tar, ...) in a split, counted
        independently of `read`: for example by newlines, by the headers of a tar, or from the
        metadata of a parquet file. None, the default, means that the reader cannot count units; the
        manifest of the run then states that the units were not counted.

        Raises FileError for a file whose units cannot be counted to the end of the split.
        """
        return None

    def check_evidence(self, evidence: Findings) -> None:
        """Raises InputError if the whole source contradicts the settings: for example if
        coordinates are over 1, but a setting says that they are fractions.

        `evidence` has the counts, maxima and examples of all batches, added up
        (`ReadBatch.evidence`). The engine calls this method after the source is read. By default,
        it does nothing.
        """

    def key(self, file: File, within: object) -> str:
        """The key of a record, from which its id is made: `train.json#12`.

        The key is made of the path of the file, relative to the folder of the source, and the
        record's place in the file (`within`, such as a row number). So the key does not change when
        the dataset is moved.
        """
        return f"{file.name}#{within}"

    def origin(self, file: File, within: object) -> str:
        """The origin of a record: the uri of the file and the place of the record in it (`within`,
        such as a row number): `data/train.json#12`."""
        return f"{file.uri}#{within}"


def existing_files(uris: Iterable[str], base: str) -> list[File]:
    """The files among `uris` that exist, sorted by uri. `base` is the folder to which uris are
    relative."""
    found = ((uri, storage.size_and_stamp(storage.resolve(base, uri))) for uri in sorted({*uris}))
    return [File(uri, storage.base_name(uri), *version) for uri, version in found if version]


def count_files(split: Split) -> Count:
    """Counts the files of a split, for a reader that makes each record from complete files."""
    return Count(FILES, len(split.files))


def recipe_uri(pattern: str, where: str, found: str) -> str:
    """Returns the uri of a listed file, relative if the path in the recipe is relative.

    `pattern` is the path in the recipe, `where` the same path in full, and `found` the full path of
    the file: `recipe_uri("data/*.tar", "/base/data/*.tar", "/base/data/a.tar") -> "data/a.tar"`.
    """
    if pattern == where or not where.endswith(pattern):
        return found
    return found.removeprefix(where.removesuffix(pattern))
