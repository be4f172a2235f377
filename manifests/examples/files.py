"""The settings that state which files have items, and which fields of the items are used."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from manifests import storage
from manifests.errors import InputError
from manifests.setting_values import Names
from manifests.storage import File
from manifests.tables import TABLES, Kind, kind_of


class ItemFiles(BaseModel):
    """Files of items. A field is the name of a column, or a dotted path to a field inside a column
    (`choices.text`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(
        description="file, folder or glob of JSON lines, JSON arrays, Parquet, CSV, TSV, "
        "of .txt with an item on each line (all but Parquet also as .gz, .zst, .bz2, .lz4), or of "
        "images"
    )
    text: Names = Field((), description="fields that have text; each field is compared separately")
    id: str | None = Field(
        None,
        description="field that has the item's id; null: the id is the file name and the number "
        "of the item, such as a.jsonl#1",
    )
    image: Names = Field(
        (), description="fields that have images: bytes, base64, Hugging Face's struct of bytes "
        "and path, or a path relative to the file's folder"
    )  # fmt: skip
    embedding: str | None = Field(
        None, description="field that has the embedding, a list of numbers"
    )

    @property
    def what(self) -> str:
        """The name of the items in messages."""
        return "examples"

    @property
    def has_fields(self) -> bool:
        return bool(self.text or self.image or self.embedding or self.id)


def may_have_images(given: ItemFiles) -> bool:
    """Returns whether items may have images, according to the settings alone; no files are
    listed."""
    return bool(given.image) or not (
        given.has_fields or kind_of(storage.base_name(given.path)) is Kind.LINES
    )


def files_of(given: ItemFiles, place: str) -> list[tuple[File, Kind]]:
    """Returns the files of items and their formats, sorted by name. `place` is the full path of
    `given.path`.

    If the recipe names fields and there are tables, image files are ignored, because the items are
    then the rows of the tables. Raises InputError if there is no file, or if the format of a file
    does not fit the settings.
    """
    listed = [(file, kind_of(file.name)) for file in storage.list_files(place)]
    if not listed:
        raise InputError(
            f"{given.what}: the path leads to no file.", place,
            "Correct the path, or put files into the folder.",
        )  # fmt: skip
    if given.has_fields and any(kind in TABLES for _, kind in listed):
        listed = [(file, kind) for file, kind in listed if kind is not Kind.IMAGE]
    return [(file, _checked(given, file, kind)) for file, kind in listed]


def _checked(given: ItemFiles, file: File, kind: Kind | None) -> Kind:
    if kind is None:
        known = ", ".join(ending for one in Kind if one is not Kind.IMAGE for ending in one.value)
        raise InputError(
            f"{given.what}: files with this ending cannot be read. Images can be read, and files "
            f"with the endings {known}.",
            file.uri, "Write a path that excludes this file, such as folder/*.parquet.",
        )  # fmt: skip
    if kind in TABLES and not (given.text or given.image or given.embedding):
        raise InputError(
            f"{given.what}: this file is a table, but the recipe names no field to compare.",
            file.uri,
            "Set text, image or embedding, such as text: [question].",
        )  # fmt: skip
    if kind not in TABLES and given.has_fields:
        raise InputError(
            f"{given.what}: the recipe names fields, but this file is not a table.", file.uri,
            "Remove the settings text, id, image and embedding, or write a path "
            "that matches only tables.",
        )  # fmt: skip
    return kind
