"""The entry of a file in a manifest."""

from __future__ import annotations

from pydantic import BaseModel


class FileEntry(BaseModel):
    """A file in a manifest: name in the folder of the manifest, number of rows, size and digest."""

    name: str
    rows: int
    size_bytes: int
    digest: str
