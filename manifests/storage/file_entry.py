"""A file as manifests name it."""

from __future__ import annotations

from pydantic import BaseModel


class FileEntry(BaseModel):
    """A written file: its name in the folder of its manifest, rows, bytes and digest."""

    name: str
    rows: int
    size_bytes: int
    digest: str
