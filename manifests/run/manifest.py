"""The manifests of a run, of a pass and of a part: JSON files that list other files with their
digests.

A pass is one processing of all records, and a part is a group of records that one task processes.
Each manifest is written after all files that it lists.
"""

from __future__ import annotations

import json
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, Field, ValidationError
from pydantic_core import to_json

from manifests import storage
from manifests.errors import ManifestError
from manifests.run.bill import Bill
from manifests.run.counted import Counted
from manifests.run.file_names import STEPS
from manifests.run.fingerprint import fingerprint
from manifests.run.ledger import Account
from manifests.run.variables import Variables
from manifests.storage.digest import bytes_digest
from manifests.storage.file_entry import FileEntry, InsideName

NAME = "manifest.json"
FORMAT = 3
"""The version of the format of a run's manifest. Increase it if older code cannot read the new
format."""


_FRESH = "Run the recipe again, with a new output folder."
_AGAIN = "Run the recipe again, with the same output folder."
_NAME_OR_AGAIN = (
    "Name the output folder of a finished run, or run the recipe again, with the same output "
    "folder, to finish or mend the run."
)
_CHECKSUM = b'"checksum": "'
"""How the last field of every manifest and commit starts; its value is the digest of all bytes
before it."""


class Commit(BaseModel):
    """The manifest of one part of a pass, written after the part's files. A pass is one processing
    of all records, and a part is a group of records that one task processes. A part is valid only
    if its commit exists."""

    part: InsideName
    inputs_digest: str = Field(description="digest of the inputs from which the part was made")
    origin: str = Field("", description="name of the input of the part, for messages")
    rows: int
    media_bytes: int = 0
    text_bytes: int = 0
    files: list[FileEntry]
    ledger: list[Account] = Field(default_factory=list)
    counted: list[Counted] = Field(
        default_factory=list,
        description="counts of the input's units on disk, and of their outcomes",
    )
    more: list[InsideName] = Field(
        default_factory=list,
        description="names of further parts that the same task made; their commits are older",
    )
    detail: dict[str, Any] = Field(
        default_factory=dict, description="other results of the task, as JSON values"
    )

    def file(self, ending: str) -> FileEntry | None:
        """Returns the entry of one of the part's files: the file whose name is the name of the part
        and `ending`, such as `.dropped.arrow`; None if the part has no such file."""
        return next((f for f in self.files if f.name == self.part + ending), None)

    @property
    def digest(self) -> str:
        return fingerprint([[f.name, f.digest] for f in self.files])


class PassManifest(BaseModel):
    """The manifest of a pass, which is one processing of all records: its steps, the row counts of
    its steps (`ledger`), and its parts, which are groups of records.

    It is written when every part has a commit, which is the manifest of the part.
    """

    name: str
    kind: str
    fingerprint: str
    steps: list[dict[str, Any]] = Field(default_factory=list)
    files_folder: InsideName | Literal[""] = Field(
        "", description="folder of the parts' files, if it is not the folder of the pass"
    )
    parts: list[Commit]
    ledger: list[Account]
    counted: list[Counted] = Field(default_factory=list)

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self.parts)

    @property
    def digest(self) -> str:
        return fingerprint([self.fingerprint, [[p.part, p.digest] for p in self.parts]])


class PassEntry(BaseModel):
    """What the manifest of the run states about one pass, which is one processing of all records.
    `folder` is relative to the folder of the run. `digest` is a digest of the files of the pass,
    `parts` the number of groups of records, which have one file each."""

    folder: InsideName
    kind: str
    name: str
    fingerprint: str
    digest: str
    rows: int
    parts: int


class ShardsEntry(BaseModel):
    """What the manifest of the run states about the shards of one format. `files` are files about
    all shards, such as an index. The manifests of the passes list the shards themselves."""

    folder: InsideName
    rows: int
    size_bytes: int
    shards: list[InsideName]
    files: list[FileEntry]


class RunManifest(BaseModel):
    """The manifest of a run: recipe, passes, row counts and shards. It contains everything that is
    needed to verify and to repeat the run.

    A pass is one processing of all records. `ledger` has the row counts of the steps. `files` are
    the files of the run that belong to no pass. `environment` states where and when the run took
    place; it does not change the property `digest`.
    """

    format: int = FORMAT
    name: str
    seed: int
    recipe: dict[str, Any]
    variables: Variables = Field(default_factory=Variables)
    fingerprint: str
    passes: list[PassEntry]
    ledger: list[Account]
    counted: list[Counted] = Field(
        default_factory=list,
        description="counts of each source's units on disk, and of their outcomes",
    )
    shards: dict[str, ShardsEntry]
    files: list[FileEntry]
    bills: list[Bill] = Field(
        default_factory=list,
        description="what the request steps asked and paid for; no part of the digest",
    )
    environment: dict[str, Any]

    @property
    def digest(self) -> str:
        return fingerprint(
            [
                self.fingerprint,
                [p.digest for p in self.passes],
                [a.model_dump() for a in self.ledger],
                [c.model_dump() for c in self.counted],
                {name: entry.model_dump() for name, entry in self.shards.items()},
                [file.model_dump() for file in self.files],
            ]
        )


_KINDS = {RunManifest: "the manifest of a run", PassManifest: "the manifest of a pass"}
M = TypeVar("M", RunManifest, PassManifest)


def save(model: BaseModel, uri: str, durable: bool = True) -> None:
    storage.write_bytes(uri, content_of(model), durable)


def content_of(model: BaseModel) -> bytes:
    """Returns the bytes of the file in which a manifest or commit is saved."""
    content = model.model_dump(mode="json")
    if isinstance(model, PassManifest | RunManifest):
        content["digest"] = model.digest
    return with_checksum(content)


def with_checksum(content: dict[str, Any]) -> bytes:
    """Returns a JSON object as the bytes of a file. The bytes end with a checksum of all bytes
    before the checksum, which `is_intact` checks."""
    text = to_json(content, indent=1, inf_nan_mode="constants").removesuffix(b"\n}")
    covered = text + b",\n " + _CHECKSUM
    return covered + _ending(covered)


def _ending(covered: bytes) -> bytes:
    return bytes_digest(covered).encode() + b'"\n}\n'


def is_intact(data: bytes) -> bool:
    """Returns whether the checksum at the end of a manifest agrees with the bytes before it."""
    before, mark, ending = data.rpartition(_CHECKSUM)
    return bool(mark) and ending == _ending(before + mark)


def load_commit(uri: str) -> Commit | None:
    """Returns the commit (the manifest) of a part; None if the commit does not exist, or if it is
    damaged, for example after a crash."""
    if storage.size_and_stamp(uri) is None:
        return None
    data = storage.read_bytes(uri)
    try:
        return Commit.model_validate_json(data) if is_intact(data) else None
    except ValidationError:
        return None


def load_pass(folder: str) -> PassManifest:
    return _load(PassManifest, storage.join(folder, NAME))


def load_pass_of(out: str, entry: PassEntry) -> PassManifest:
    """Returns the manifest of a pass of the run in the folder `out`. Raises ManifestError if this
    manifest is missing or damaged, or if its digest differs from `entry`, which the manifest of the
    run has for the pass."""
    folder = storage.join(out, entry.folder)
    found = load_pass(folder)
    if found.digest != entry.digest:
        raise ManifestError(
            f"the manifest of the pass has digest {found.digest}, but the manifest of the run "
            f"states {entry.digest}",
            storage.join(folder, NAME),
            _AGAIN,
        )
    return found


def load_run(uri: str) -> RunManifest:
    """Returns the manifest of a run. `uri` is the path of the manifest or of the folder of the
    run."""
    return _load(RunManifest, place_of(uri))


def place_of(uri: str) -> str:
    """Returns the path of the manifest of a run. `uri` is this path, or the folder of the run."""
    return uri if storage.base_name(uri).endswith(".json") else storage.join(uri, NAME)


def _load(kind: type[M], place: str) -> M:
    again = _AGAIN if kind is PassManifest else _NAME_OR_AGAIN
    if storage.size_and_stamp(place) is None:
        if kind is PassManifest:
            raise ManifestError("the manifest of the pass is missing", place, again)
        folder = storage.folder_of(place)
        if place.endswith(NAME) and storage.exists(storage.join(folder, STEPS)):
            raise ManifestError(
                "the run in this folder has not finished, so it has no manifest yet",
                place,
                "If the run is still active, wait until it ends. If it was stopped, run the same "
                "command again: finished parts are kept. `curate show --quarantined` and `curate "
                "explain --quarantine` need no manifest if the run stopped at max_quarantined.",
            )
        raise ManifestError(
            "there is no manifest here, so this is not the folder of a finished run",
            place,
            again,
        )
    data = storage.read_bytes(place)
    try:
        content = json.loads(data)
        _check_format(content, place)
        if not is_intact(data):
            raise ManifestError(
                "the checksum in the manifest does not match its content: the file was edited or "
                "damaged.",
                place,
                again,
            )
        return kind.model_validate(content)
    except (ValueError, AttributeError, TypeError) as error:
        fault = f"this is not {_KINDS[kind]}: {_first_fault(error)}"
        raise ManifestError(fault, place, again) from error


def _first_fault(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    return f"field '{'.'.join(map(str, first['loc']))}': {first['msg']}"


def _check_format(content: dict[str, Any], place: str) -> None:
    """Raises ManifestError if the format of the manifest is not `FORMAT`."""
    found = content.get("format", FORMAT)
    if found != FORMAT:
        raise ManifestError(
            f"the manifest has format {found}; this version of curate reads format {FORMAT}.",
            place,
            _FRESH,
        )
