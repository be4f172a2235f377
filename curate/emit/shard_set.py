"""The manifest of a folder of shards; it is written after all files that it names."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from curate.emit.settings import FormatName
from curate.emit.shard import ShardCommit
from manifests import storage
from manifests.errors import ManifestError
from manifests.storage.digest import stated_file
from manifests.storage.file_entry import FileEntry

NAME = "shards.json"
AGAIN = "Run the recipe again, with the same output folder: it writes the shards anew."


class ShardSet(BaseModel):
    """All shards of one format, in order. Other files in the folder of the shards are not part of
    the data. `fingerprint` identifies the settings of the run."""

    model_config = ConfigDict(frozen=True)

    format: FormatName
    fingerprint: str
    rows: int
    size_bytes: int
    quarantined: int = Field(description="records that could not be written in this format")
    shards: list[ShardCommit]
    beside: list[FileEntry] = Field(description="files for all shards together")


def save(folder: str, shards: ShardSet) -> FileEntry:
    """Write the manifest of the shards. Raises ManifestError if a file that the manifest lists is
    missing, or does not have the size that the manifest states."""
    for entry in [*(f for s in shards.shards for f in s.files), *shards.beside]:
        stated_file(folder, entry)
    content = shards.model_dump(mode="json", exclude={"shards": {"__all__": {"quarantined"}}})
    return write_json(folder, NAME, content)


def load(folder: str) -> ShardSet:
    place = storage.join(folder, NAME)
    if storage.size_and_stamp(place) is None:
        raise ManifestError(
            "the folder has no manifest of shards",
            place,
            "Check that the run has finished, and that this is a folder of shards.",
        )
    try:
        return ShardSet.model_validate_json(storage.read_bytes(place))
    except ValidationError as error:
        fault = f"the file is not a manifest of shards: {error}"
        raise ManifestError(fault, place, AGAIN) from error


def write_json(folder: str, name: str, content: Any) -> FileEntry:
    with storage.writing(storage.join(folder, name)) as sink:
        sink.write((json.dumps(content, ensure_ascii=False) + "\n").encode())
    return sink.entry(name)
