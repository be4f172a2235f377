"""Computes perceptual hashes of the images of benchmark items, and finds the item whose image is
nearest to a record's images."""

from __future__ import annotations

import contextlib
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from filters.image.image_hash import HashedImages, hash_images
from filters.image.perceptual.phash import SIDE
from manifests import record
from manifests.errors import InputError
from manifests.examples.images import ItemImage, ItemMedia
from manifests.media import Limits, Media
from manifests.record import media_lists, one_chunk

HASH_BITS = 64
_QUERIES, _TILE = 256, 1 << 12
"""The numbers of record hashes and of item hashes that are compared at once (our choice). Their
distances fit into the cache of a CPU core."""
_32 = 32


class ItemHashes(NamedTuple):
    """The perceptual hashes of the images of benchmark items, (m,) uint64, and the number of each
    hash's item, (m,) int32, ascending."""

    hashes: np.ndarray
    items: np.ndarray


class NearestItems(NamedTuple):
    """For each record, the number of the benchmark item with the nearest image (`item`), and the
    number of bits in which the two hashes differ (`distance`). Both are int32.

    For a record without a hashed image, the item is -1 and the distance is HASH_BITS + 1. If
    several items are equally near, the first of them is returned.
    """

    item: np.ndarray
    distance: np.ndarray


def item_hashes(images: list[ItemImage], limits: Limits) -> ItemHashes:
    """Returns the hashes of the images of benchmark items, computed in the same way as in the step
    `image_hash`.

    An image with almost no detail has no hash. Raises InputError for an image that cannot be
    decoded.
    """
    rows = [
        {"key": str(n), "content": [], "media": [{"kind": "image", "uri": str(n)}]}
        for n in range(len(images))
    ]
    with contextlib.closing(ItemMedia(images, limits, SIDE)) as media:
        hashed = hash_images(record.from_rows(rows, "", "caption")["media"], media)
    for row, error in hashed.errors.items():
        raise InputError(
            f"an image of this item cannot be read: {error}", images[row].place,
            "Replace the image, or remove the item.",
        )  # fmt: skip
    _, hashes = media_lists(hashed.hash)
    owners = np.array([one.item for one in images], np.int32)
    return ItemHashes(np.asarray(hashes.drop_null()), owners[np.asarray(hashes.is_valid())])


def record_hashes(batch: pa.Table, media: Media, known: tuple[str, ...]) -> HashedImages:
    """Returns the hashes of records' images. The hashes are read from the columns `known` (hash,
    mirror) if these columns are given and have no null; otherwise the hashes are computed."""
    if known and not any(batch[name].null_count for name in known):
        hash_, mirror = (one_chunk(batch[name]) for name in known)
        return HashedImages(hash_, mirror, None, {})
    return hash_images(batch["media"], media)


def nearest_items(hashes: pa.Array, mirrors: pa.Array, items: ItemHashes) -> NearestItems:
    """Returns the benchmark item with the nearest image for each record, by the hashes of the
    record's images and of their mirror images.

    `hashes` and `mirrors` are list<uint64>, with one list per record.
    """
    offsets, own = media_lists(hashes)
    _, mirrored = media_lists(mirrors)
    owners = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    best = np.full(len(offsets) - 1, (HASH_BITS + 1) << _32 | 0xFFFFFFFF, np.int64)
    for one in (own, mirrored):
        nearest = _nearest(np.asarray(one.drop_null()), items)
        np.minimum.at(best, owners[np.asarray(one.is_valid())], nearest)
    return NearestItems(best.astype(np.int32), (best >> _32).astype(np.int32))


def _nearest(hashes: np.ndarray, items: ItemHashes) -> np.ndarray:
    """Returns, for each hash, the nearest item and its distance in one int64: (number of bits in
    which the item's hash differs) << 32 | (number of the item)."""
    best = np.full(len(hashes), np.iinfo(np.int64).max)
    for top in range(0, len(hashes), _QUERIES):
        rows = slice(top, top + _QUERIES)
        for left in range(0, len(items.hashes), _TILE):
            known = items.hashes[left : left + _TILE]
            distances = np.bitwise_count(hashes[rows, None] ^ known)
            at = distances.argmin(axis=1)
            found = np.take_along_axis(distances, at[:, None], axis=1)[:, 0].astype(np.int64)
            best[rows] = np.minimum(best[rows], found << _32 | items.items[left + at])
    return best
