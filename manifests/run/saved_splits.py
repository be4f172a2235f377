"""The file in which a run saves the splits of a source. A split is the input of one task: a range
of a file, or several files. The saved file is beside the manifest of the pass that reads the
source."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field, ValidationError

from manifests import storage
from manifests.run import manifest
from manifests.storage.digest import MISSING

NAME = "splits.json"


class SavedSplits(BaseModel):
    """The content of the file with the splits of a source. A split is the input of one task: a
    range of a file, or several files. `splits`: for each group of files, a list of splits, each as
    a list of its fields. `left_aside`: the number of files that are not read, by suffix or other
    kind: `{".md": 1}`."""

    splits: dict[str, list[list[Any]]]
    left_aside: dict[str, int] = Field(default_factory=dict)


def load(folder: str) -> SavedSplits | str:
    """Returns the splits (the inputs of the tasks) that are saved in the folder of a pass that
    reads a source; an error text if the file is missing or damaged."""
    uri = storage.join(folder, NAME)
    if storage.size_and_stamp(uri) is None:
        return MISSING
    data = storage.read_bytes(uri)
    if not manifest.is_intact(data):
        return "the checksum in the file does not match its content"
    try:
        return SavedSplits.model_validate_json(data)
    except ValidationError:
        return "this is not the list of the splits of a source"
