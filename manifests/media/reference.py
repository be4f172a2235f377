"""Where the bytes of media lie."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from manifests.record.columns import media_lists


class Reference(NamedTuple):
    """Where the bytes of one image or video lie, in bytes. Without an offset: the whole file."""

    uri: str
    offset: int | None = None
    length: int | None = None


def references(media: pa.Array | pa.ChunkedArray) -> tuple[np.ndarray, list[Reference]]:
    """Offsets (rows + 1) into the flat list of all references of a batch, and that list."""
    offsets, flat = media_lists(media)
    columns = (pc.struct_field(flat, name).to_pylist() for name in Reference._fields)
    return offsets, [Reference(*fields) for fields in zip(*columns, strict=True)]


def where(ref: Reference) -> str:
    return ref.uri if ref.offset is None else f"{ref.uri}@{ref.offset}"
