"""Records that are equal: the same text, the same media, byte for byte."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.duplicates.contract import mixed, to_binary
from manifests import record
from manifests.record import media_lists, one_chunk

TEXT, MEDIA = "text_hash", "media_hash"


@dataclass(frozen=True)
class SameText:
    """Texts that are equal in lower case and with runs of whitespace as one space."""

    columns: ClassVar[tuple[str, ...]] = ("content",)

    def identify(self, table: pa.Table) -> pa.Array:
        from manifests.kernels.shingles import text_hashes

        if TEXT in table.column_names:
            return one_chunk(table[TEXT])
        hashes, present = text_hashes(record.texts(table["content"]))
        return to_binary(present, hashes)

    def remembered(self, table: pa.Table) -> dict[str, pa.Array]:
        return {TEXT: self.identify(table)}


@dataclass(frozen=True)
class SameMedia:
    """The same images and videos in the same order, byte for byte, by their digests."""

    columns: ClassVar[tuple[str, ...]] = ("media",)

    def identify(self, table: pa.Table) -> pa.Array:
        if MEDIA in table.column_names:
            return one_chunk(table[MEDIA])
        offsets, flat = media_lists(table["media"])
        return listed(offsets, _digests(pc.struct_field(flat, "digest")))

    def remembered(self, table: pa.Table) -> dict[str, pa.Array]:
        return {MEDIA: self.identify(table)}


def listed(offsets: np.ndarray, values: np.ndarray) -> pa.Array:
    """One identity for each list of values (m, 2) uint64, by order; null for empty lists."""
    rows, lengths = len(offsets) - 1, np.diff(offsets)
    identity = np.zeros((rows, 2), np.uint64)
    for place in range(int(lengths.max(initial=0))):
        has = np.flatnonzero(lengths > place)
        at = offsets[has] + place
        once = mixed(identity[has], values[at])
        identity[has] = mixed(once, np.array([[place + 1, place + 2]], np.uint64))
    return to_binary(lengths > 0, identity)


def _digests(digests: pa.Array) -> np.ndarray:
    """Hashes (n, 2) uint64 of digests as told in a record."""
    hexed = pc.binary_slice(pc.cast(digests, pa.binary()), -32)
    words = [[int(h[:16], 16), int(h[16:], 16)] for h in hexed.to_pylist()]
    return np.array(words, np.uint64).reshape(-1, 2)
