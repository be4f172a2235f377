"""Finds images that may look the same, because the Hamming distance of their perceptual hashes is
small, either directly or after one of the images is mirrored. Then their small colour images, which
are the images reduced to 8 x 8 pixels, decide whether the images look the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from filters.duplicates.corpus.image_families import IMAGE_FAMILIES
from filters.duplicates.kinds.contract import CandidatePairs, DescribedUnits, Entries, Verifier
from filters.duplicates.kinds.identity import combine_hashes, list_identities
from manifests.record import media_lists

if TYPE_CHECKING:
    from manifests.kernels.look_alike import Looks

HASH, MIRROR, COLOURS = "image_hash.hash", "image_hash.mirror", "image_hash.colours"
LOOKS = (HASH, MIRROR, COLOURS)
"""The columns by which two images are compared: hash, hash of the mirror image, and small colour
image (the image reduced to 8 x 8 pixels)."""
HASH_BITS = 64
BYTES = 192
"""The size in bytes of a small colour image (8 x 8 pixels of RGB), which the step `image_hash`
computes."""


class Tolerance(NamedTuple):
    """Two images look the same if their hashes differ in at most `distance` bits, and their small
    colour images (the images reduced to 8 x 8 pixels) differ by at most `colour_distance` levels of
    0 to 255. They also look the same if this is true after one of the two images is mirrored."""

    distance: int
    colour_distance: float

    @property
    def min_similarity(self) -> float:
        """The lowest similarity of two images that look the same: 1 - distance / 64."""
        return 1 - self.distance / HASH_BITS


@dataclass(frozen=True)
class Images:
    """Finds images that may look the same. The units that are compared are all images and videos of
    a source's records, in order.

    The keys of an image are groups of bits of its hash and of the hash of its mirror image
    (`hamming.band_keys`). The payload, the data stored with each key, is both hashes. An image
    without a hash (almost no detail) is never a duplicate.
    """

    distance: int
    columns: ClassVar[tuple[str, ...]] = LOOKS

    @property
    def keys_per_unit(self) -> int:
        chunks = self.distance + 2
        return chunks * (chunks - 1)  # every pair of chunks, for the hash and its mirror image

    words: ClassVar[int] = 2
    compare_across_slices: ClassVar[bool] = True

    def describe(self, table: pa.Table) -> DescribedUnits:
        from manifests.kernels.hamming import band_keys

        present = np.asarray(media_lists(table[HASH])[1].is_valid())
        payload = both_hashes(table)
        identity = image_identities(payload)
        own = np.flatnonzero(present)
        keys = [band_keys(np.ascontiguousarray(payload[own, w]), self.distance) for w in (0, 1)]
        owners = np.repeat(own, keys[0].shape[1])
        return DescribedUnits(
            present,
            identity,
            np.concatenate([k.reshape(-1) for k in keys]),
            np.concatenate([owners, owners]),
            payload,
        )

    def index_columns(self, table: pa.Table) -> dict[str, pa.Array]:
        return {name: table[name].combine_chunks() for name in self.columns}

    def candidates(self, entries: Entries) -> CandidatePairs:
        from manifests.kernels.hamming import close_pairs

        hashes, mirrors = (np.ascontiguousarray(entries.payload[:, w]) for w in (0, 1))
        pairs, distances = close_pairs(entries.keys, hashes, mirrors, self.distance)
        similarity = 1 - distances.astype(np.float32) / HASH_BITS
        return CandidatePairs(pairs, similarity.astype(np.float32))

    @property
    def verifier(self) -> Verifier | None:
        return None


def both_hashes(table: pa.Table) -> np.ndarray:
    """Returns the hash of each image and of its mirror image, (n, 2) uint64; 0 if the image has no
    hash."""
    lists = (media_lists(table[name])[1] for name in (HASH, MIRROR))
    return np.stack([np.asarray(h.fill_null(0)).astype(np.uint64) for h in lists], axis=1)


def record_looks(table: pa.Table) -> Looks:
    """Returns what the images of records are compared by: the hashes and the small colour images (8
    x 8 pixels) of each image."""
    from manifests.kernels.look_alike import looks

    offsets, _ = media_lists(table[HASH])
    return looks(offsets, both_hashes(table), small_colours(table))


def small_colours(table: pa.Table) -> np.ndarray:
    """Returns the small colour image of each image, which is the image reduced to 8 x 8 pixels of
    RGB: (n, 192) uint8. An image without a small colour image gets zeros."""
    _, flat = media_lists(table[COLOURS])
    filled = flat.fill_null(bytes(BYTES)) if flat.null_count else flat
    data = np.frombuffer(filled.buffers()[1] or b"", np.uint8)
    start = filled.offset * BYTES
    return data[start : start + len(filled) * BYTES].reshape(-1, BYTES)


def certain_identities(table: pa.Table) -> np.ndarray:
    """Returns a 128-bit hash of what each image looks like, (n, 2) uint64, computed from its hash,
    the hash of its mirror image and its small colour image (8 x 8 pixels). Images with equal
    results look the same for certain; but all images without a hash have the same result."""
    identities = image_identities(both_hashes(table))
    for word in small_colours(table).view(np.uint64).T:
        identities = combine_hashes(identities, np.stack([word, ~word], axis=1))
    return identities


def image_identities(hashes: np.ndarray) -> np.ndarray:
    """Returns a 128-bit hash of each row of `hashes`, (n, 2) uint64: the hashes of an image and of
    its mirror image. An image and its mirror image get the same result."""
    low, high = hashes.min(axis=1), hashes.max(axis=1)
    return np.stack([combine_hashes(low, high), combine_hashes(high, low)], axis=1)


@dataclass(frozen=True)
class SameImages:
    """Finds candidate pairs of records: records with the same number of images, in which each image
    may look the same as the image at the same position in the other record.

    Two images may look the same if `Images` has assigned them to one family: a chain of images in
    which neighbours have near hashes. The ends of a chain may look different, so the images of the
    two records are then compared one by one (`Looks`). A record with a video, or with an image that
    has no hash, is never equal to another record.
    """

    columns: ClassVar[tuple[str, ...]] = (IMAGE_FAMILIES, *LOOKS)

    def identify(self, table: pa.Table) -> pa.Array:
        offsets, families = media_lists(table[IMAGE_FAMILIES])
        values = np.asarray(families.fill_null(0)).astype(np.uint64)
        identities = list_identities(offsets, np.stack([values, values], axis=1))
        nulls = np.cumsum(np.concatenate([[0], np.asarray(families.is_null())]))
        has_null = nulls[offsets[1:]] > nulls[offsets[:-1]]
        return pc.if_else(pa.array(has_null), pa.scalar(None, identities.type), identities)

    def certain(self, table: pa.Table) -> pa.Array:
        offsets, _ = media_lists(table[HASH])
        return list_identities(offsets, certain_identities(table))

    def index_columns(self, table: pa.Table) -> dict[str, pa.Array]:
        return {}  # families are computed again from the hashes, which `Images` stores
