"""References to the bytes of images and videos."""

from __future__ import annotations

from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc


class Reference(NamedTuple):
    """Refers to a complete file if `offset` is None; otherwise to `length` bytes of a file from
    `offset` on."""

    uri: str
    offset: int | None = None
    length: int | None = None

    @property
    def place(self) -> str:
        """The file and the offset, for messages: `Reference("a.tar", 512, 9).place -> a.tar@512`"""
        return self.uri if self.offset is None else f"{self.uri}@{self.offset}"


def references(media: pa.StructArray) -> list[Reference]:
    """Returns the reference of each media struct. `media` is flat: one struct for each image or
    video."""
    columns = (pc.struct_field(media, name).to_pylist() for name in Reference._fields)
    return [Reference(*fields) for fields in zip(*columns, strict=True)]
