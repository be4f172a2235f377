"""Run, pass and part manifests. Each is written after all that it names, never before."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from manifests import storage
from manifests.errors import ManifestError
from manifests.run.fingerprint import fingerprint
from manifests.run.ledger import Account

NAME = "manifest.json"


class FileEntry(BaseModel):
    """One file a commit answers for: its name beside the commit, rows, bytes and digest."""

    name: str
    rows: int
    size_bytes: int
    digest: str


class Commit(BaseModel):
    """The manifest of one part: the part exists when this does."""

    part: str
    inputs_digest: str = Field(description="digest of what the part was made from")
    origin: str = Field("", description="the input it goes back to, for people")
    rows: int
    media_bytes: int = 0
    text_bytes: int = 0
    files: list[FileEntry]
    ledger: list[Account] = Field(default_factory=list)
    detail: dict[str, Any] = Field(default_factory=dict, description="what else its writer told")

    def file(self, ending: str) -> FileEntry | None:
        """The file of the part with this ending, such as `.dropped.arrow`; None if not written."""
        return next((f for f in self.files if f.name == self.part + ending), None)

    @property
    def digest(self) -> str:
        return fingerprint([[f.name, f.digest] for f in self.files])


class PassManifest(BaseModel):
    """One pass: what ran, on which parts, and what became of the rows. Written when it is whole."""

    name: str
    kind: str
    fingerprint: str
    steps: list[dict[str, Any]] = Field(default_factory=list)
    files_folder: str = Field("", description="folder of its files, if not the folder of the pass")
    parts: list[Commit]
    ledger: list[Account]

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self.parts)

    @property
    def digest(self) -> str:
        return fingerprint([self.fingerprint, [[p.part, p.digest] for p in self.parts]])


class PassEntry(BaseModel):
    """A pass as the run names it."""

    folder: str
    kind: str
    name: str
    fingerprint: str
    digest: str
    rows: int
    parts: int


class RunManifest(BaseModel):
    """The run: everything needed to know what was made, to check it, and to make it again.

    `environment` says where and when it ran; it is no part of `digest`.
    """

    format: int = 1
    name: str
    seed: int
    recipe: dict[str, Any]
    fingerprint: str
    passes: list[PassEntry]
    ledger: list[Account]
    shards: dict[str, Any]
    environment: dict[str, Any]

    @property
    def digest(self) -> str:
        return fingerprint(
            [
                self.fingerprint,
                [p.digest for p in self.passes],
                [a.model_dump() for a in self.ledger],
                self.shards,
            ]
        )


def save(model: BaseModel, uri: str, durable: bool = True) -> None:
    content = model.model_dump(mode="json")
    if isinstance(model, PassManifest | RunManifest):
        content["digest"] = model.digest
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    storage.write_bytes(uri, text.encode(), durable)


def load_commit(uri: str) -> Commit | None:
    """The commit of a part; None where it is not there, or is not one (cut short by a crash)."""
    if storage.size_and_stamp(uri) is None:
        return None
    try:
        return Commit.model_validate_json(storage.read_bytes(uri))
    except ValidationError:
        return None


def load_pass(folder: str) -> PassManifest:
    return PassManifest.model_validate(_content(storage.join(folder, NAME)))


def load_run(uri: str) -> RunManifest:
    """The manifest of a run, by its own path or by the folder of the run."""
    place = uri if uri.endswith(".json") else storage.join(uri, NAME)
    return RunManifest.model_validate(_content(place))


def _content(place: str) -> dict[str, Any]:
    if storage.size_and_stamp(place) is None:
        raise ManifestError("there is no manifest here", place, "Has the run finished?")
    try:
        content = json.loads(storage.read_bytes(place))
        stated = content.pop("digest", None)
        kind = RunManifest if "recipe" in content else PassManifest
        if kind.model_validate(content).digest != stated:
            raise ManifestError("its digest does not match its content", place, "It was edited.")
    except (ValueError, ValidationError, AttributeError) as error:
        raise ManifestError(f"this is not a manifest: {error}", place) from error
    assert isinstance(content, dict)
    return content
