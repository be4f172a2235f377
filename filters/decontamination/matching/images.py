"""Images of benchmarks, and which of them a record's images look like."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from filters.image.image_hash import ImageHash
from manifests import record
from manifests.errors import InputError
from manifests.media import Limits, Media, Reference
from manifests.record import media_lists, one_chunk

HASH_BITS = 64
_AT_ONCE = 64
"""Images of a benchmark that are decoded before they are forgotten (ours)."""
_QUERIES, _TILE = 256, 1 << 12
"""Hashes compared at once: the distances stay in a core's cache (ours)."""
_32 = 32


class Given(NamedTuple):
    """An image of an item: its bytes, or the full path or URL of its file."""

    item: int
    source: bytes | str
    place: str


class Looks(NamedTuple):
    """Perceptual hashes, uint64, and the item that each is of, int32, ascending."""

    hashes: np.ndarray
    items: np.ndarray


class Likeness(NamedTuple):
    """Of each record the item that one of its images looks most like, int32, and the bits in
    which they differ; -1 and HASH_BITS + 1 where it has none. Of items equal in this the first."""

    item: np.ndarray
    distance: np.ndarray


class _Opened(Media):
    """Opens images that are given, each by its number in the list."""

    def __init__(self, given: list[Given], limits: Limits) -> None:
        super().__init__(limits=limits, side=ImageHash.image_side)
        self._given = given

    def read(self, ref: Reference) -> bytes:
        source = self._given[int(ref.uri)].source
        return source if isinstance(source, bytes) else super().read(Reference(source))


def looks_of(given: list[Given], limits: Limits) -> Looks:
    """The hashes of images, by the step that hashes those of records; an image without detail
    has none. Raises InputError for one that does not open."""
    rows = [
        {"key": str(n), "content": [], "media": [{"kind": "image", "uri": str(n)}]}
        for n in range(len(given))
    ]
    media = _Opened(given, limits)
    said = ImageHash()(record.from_rows(rows, "", "caption"), media)
    media.close()
    for one, fault in zip(given, said.error.to_pylist() if said.error else (), strict=False):
        if fault is not None:
            raise InputError(
                f"its image does not open: {fault}", one.place,
                "Put an intact image in its place, or take the item out.",
            )  # fmt: skip
    _, hashes = media_lists(said.columns["hash"])
    owners = np.array([one.item for one in given], np.int32)
    return Looks(np.asarray(hashes.drop_null()), owners[np.asarray(hashes.is_valid())])


def hashes_of(batch: pa.Table, media: Media) -> tuple[pa.Array, pa.Array, pa.Array | None]:
    """The hashes of records' images and of their mirror images, as an `image_hash` before has
    them, or else made now; and which records have an image that does not open."""
    names = [f"image_hash.{measure}" for measure in ImageHash.measures]
    if set(names) <= set(batch.column_names) and not any(batch[n].null_count for n in names):
        return one_chunk(batch[names[0]]), one_chunk(batch[names[1]]), None
    said = ImageHash()(batch, media)
    return said.columns["hash"], said.columns["mirror"], said.error


def likeness(hashes: pa.Array, mirrors: pa.Array, looks: Looks) -> Likeness:
    """What the images of each record look like, from the lists of their hashes and of those of
    their mirror images."""
    offsets, own = media_lists(hashes)
    _, mirrored = media_lists(mirrors)
    owners = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    best = np.full(len(offsets) - 1, (HASH_BITS + 1) << _32 | 0xFFFFFFFF, np.int64)
    for one in (own, mirrored):
        nearest = _nearest(np.asarray(one.drop_null()), looks)
        np.minimum.at(best, owners[np.asarray(one.is_valid())], nearest)
    return Likeness(best.astype(np.int32), (best >> _32).astype(np.int32))


def _nearest(hashes: np.ndarray, looks: Looks) -> np.ndarray:
    """The distance of each hash to the nearest, and in the lower 32 bits the first item so near."""
    best = np.full(len(hashes), np.iinfo(np.int64).max)
    for top in range(0, len(hashes), _QUERIES):
        rows = slice(top, top + _QUERIES)
        for left in range(0, len(looks.hashes), _TILE):
            known = looks.hashes[left : left + _TILE]
            distances = np.bitwise_count(hashes[rows, None] ^ known)
            at = distances.argmin(axis=1)
            found = np.take_along_axis(distances, at[:, None], axis=1)[:, 0].astype(np.int64)
            best[rows] = np.minimum(best[rows], found << _32 | looks.items[left + at])
    return best
