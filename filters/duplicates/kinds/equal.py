"""Finds records that are equal: with the same text, or with the same images and videos byte for
byte."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.duplicates.kinds.identity import list_identities, to_binary
from manifests import record
from manifests.record import media_lists, one_chunk

TEXT, MEDIA = "text_hash", "media_hash"
"""The names of columns in the index that later runs read."""


@dataclass(frozen=True)
class SameText:
    """Two records are equal if their texts are equal in lower case, after every run of whitespace
    is replaced by one space."""

    columns: ClassVar[tuple[str, ...]] = ("content",)

    def identify(self, table: pa.Table) -> pa.Array:
        from manifests.kernels.shingles import text_hashes

        if TEXT in table.column_names:
            return one_chunk(table[TEXT])
        hashes, present = text_hashes(record.texts(table["content"]))
        return to_binary(present, hashes)

    def certain(self, table: pa.Table) -> pa.Array:
        return self.identify(table)

    def index_columns(self, table: pa.Table) -> dict[str, pa.Array]:
        return {TEXT: self.identify(table)}


@dataclass(frozen=True)
class SameMedia:
    """Two records are equal if they have the same images and videos in the same order, byte for
    byte. The digests of the images and videos are compared."""

    columns: ClassVar[tuple[str, ...]] = ("media",)

    def identify(self, table: pa.Table) -> pa.Array:
        if MEDIA in table.column_names:
            return one_chunk(table[MEDIA])
        offsets, flat = media_lists(table["media"])
        return list_identities(offsets, _digest_words(pc.struct_field(flat, "digest")))

    def certain(self, table: pa.Table) -> pa.Array:
        return self.identify(table)

    def index_columns(self, table: pa.Table) -> dict[str, pa.Array]:
        return {MEDIA: self.identify(table)}


def _digest_words(digests: pa.Array) -> np.ndarray:
    """Returns the last 32 hex digits of each digest as two uint64: (n, 2)."""
    hexed = pc.binary_slice(pc.cast(digests, pa.binary()), -32)
    words = [[int(h[:16], 16), int(h[16:], 16)] for h in hexed.to_pylist()]
    return np.array(words, np.uint64).reshape(-1, 2)
