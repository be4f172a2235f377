"""References to the bytes of images and videos."""

from __future__ import annotations

from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc


class Reference(NamedTuple):
    """A reference to bytes: to the complete file `uri` if `offset` is None; otherwise to the
    `length` bytes of this file that start at `offset`."""

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
