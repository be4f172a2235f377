"""Images that look the same: perceptual hashes within a Hamming distance, mirrored too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.duplicates.contract import Described, Entries, Met, Proof, mixed
from filters.duplicates.kinds.equal import listed
from manifests.record import media_lists

HASH, MIRROR = "image_hash.hash", "image_hash.mirror"
HASH_BITS = 64
FAMILIES = "image_families"
"""The column, list<uint64>, of the family of each image; null for one that has no hash."""


@dataclass(frozen=True)
class Images:
    """Units are images: the media of all records of a part, in order."""

    distance: int
    columns: ClassVar[tuple[str, ...]] = (HASH, MIRROR)

    @property
    def keys_per_unit(self) -> int:
        chunks = self.distance + 2
        return chunks * (chunks - 1)  # every pair of chunks, of the hash and of its mirror image

    words: ClassVar[int] = 2
    slices_meet: ClassVar[bool] = True

    def describe(self, table: pa.Table) -> Described:
        from manifests.kernels.hamming import band_keys

        _, hashes = media_lists(table[HASH])
        _, mirrors = media_lists(table[MIRROR])
        present = np.asarray(hashes.is_valid())
        words = [np.asarray(h.fill_null(0)).astype(np.uint64) for h in (hashes, mirrors)]
        payload = np.stack(words, axis=1)
        # An image and its mirror image are one identity: the pair in ascending order.
        low, high = payload.min(axis=1), payload.max(axis=1)
        identity = np.stack([mixed(low, high), mixed(high, low)], axis=1)
        own = np.flatnonzero(present)
        keys = [band_keys(np.ascontiguousarray(payload[own, w]), self.distance) for w in (0, 1)]
        owners = np.repeat(own, keys[0].shape[1])
        return Described(
            present,
            identity,
            np.concatenate([k.reshape(-1) for k in keys]),
            np.concatenate([owners, owners]),
            payload,
        )

    def remembered(self, table: pa.Table) -> dict[str, pa.Array]:
        return {name: table[name].combine_chunks() for name in self.columns}

    def meet(self, entries: Entries) -> Met:
        from manifests.kernels.hamming import close_pairs

        hashes, mirrors = (np.ascontiguousarray(entries.payload[:, w]) for w in (0, 1))
        pairs, distances = close_pairs(entries.keys, hashes, mirrors, self.distance)
        return Met(pairs, (1 - distances.astype(np.float32) / HASH_BITS).astype(np.float32))

    @property
    def proof(self) -> Proof | None:
        return None


@dataclass(frozen=True)
class SameImages:
    """Records whose images, one by one in order, are of the same families."""

    columns: ClassVar[tuple[str, ...]] = (FAMILIES,)

    def identify(self, table: pa.Table) -> pa.Array:
        offsets, families = media_lists(table[FAMILIES])
        values = np.asarray(families.fill_null(0)).astype(np.uint64)
        said = listed(offsets, np.stack([values, values], axis=1))
        unknown = np.cumsum(np.concatenate([[0], np.asarray(families.is_null())]))
        blind = unknown[offsets[1:]] > unknown[offsets[:-1]]
        return pc.if_else(pa.array(blind), pa.scalar(None, said.type), said)

    def remembered(self, table: pa.Table) -> dict[str, pa.Array]:
        return {}  # the hashes, which `Images` remembers, say it
