"""What a manifest states about a file: its name, number of rows, size and digest."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel


def inside(name: str) -> str:
    """Returns `name` unchanged if it is a plain relative path, which stays within a folder when it
    is appended to the path of the folder. Raises ValueError for an absolute path, for `..`, `.` or
    an empty name between slashes, for a backslash and for a zero byte. It is not checked whether
    such a file exists."""
    parts = name.split("/")
    if {"", ".", ".."} & {*parts} or "\\" in name or "\0" in name:
        raise ValueError(
            f"the name {name!r} is not a plain path inside the folder, such as a/b.arrow"
        )
    return name


InsideName = Annotated[str, AfterValidator(inside)]
"""The name of a file or folder inside the folder of a manifest: a relative path without `..`."""


class FileEntry(BaseModel):
    """What a manifest states about a file: name in the folder of the manifest, number of rows, size
    and digest."""

    name: InsideName
    rows: int
    size_bytes: int
    digest: str
