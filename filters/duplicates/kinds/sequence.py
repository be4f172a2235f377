"""Finds records that have enough images in common, such as the frames of two cuts of one video."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np
import pyarrow as pa

from filters.duplicates.corpus.image_families import IMAGE_FAMILIES
from filters.duplicates.kinds.contract import CandidatePairs, DescribedUnits, Entries, Verifier
from filters.duplicates.kinds.identity import combine_hashes, from_binary, list_identities
from filters.duplicates.kinds.minhash import NEAREST, WINDOW
from filters.duplicates.kinds.perceptual import (
    BYTES,
    LOOKS,
    Tolerance,
    both_hashes,
    certain_identities,
    small_colours,
)
from manifests.record import media_lists

_HASH_WORDS = 5
_WORDS = _HASH_WORDS + BYTES // 4
"""The number of uint32 values that are stored for each image: family, hashes, colours."""
_BATCH_ENTRIES = 1 << 16
"""The approximate number of entries in a batch (our choice). The candidate pairs of one batch are
held in memory until repeated pairs are removed."""


@dataclass(frozen=True)
class Sequence:
    """Two records with an image in common are candidates. They are duplicates if the number of
    images that are in both records, divided by the number of images of the record with fewer
    images, is at least `threshold`.

    The keys of a record are the families of its images (groups of similar images). If a family is
    in more than WINDOW records, each of these records is paired with only NEAREST of the others.
    Otherwise a very common frame, such as a black frame, would pair every record with every other
    record.
    """

    threshold: float
    tolerance: Tolerance
    columns: ClassVar[tuple[str, ...]] = (IMAGE_FAMILIES, *LOOKS)

    keys_per_unit: ClassVar[int] = 16
    words: ClassVar[int] = 1
    compare_across_slices: ClassVar[bool] = False

    def describe(self, table: pa.Table) -> DescribedUnits:
        offsets, families = _families(table)
        present, identity = from_binary(_same_images(table))
        keys = combine_hashes(families, np.zeros(len(families), np.uint64))
        owners = np.repeat(np.arange(len(present)), np.diff(offsets))
        unused = np.zeros((len(present), self.words), np.uint64)  # Arrow needs a list length of 1
        return DescribedUnits(present, identity, keys, owners, unused)

    def index_columns(self, table: pa.Table) -> dict[str, pa.Array]:
        return {}

    def candidates(self, entries: Entries) -> CandidatePairs:
        from manifests.kernels.grouping import runs, similar_pairs

        starts = runs(entries.keys)
        no_bits = np.zeros((len(entries.keys), 2), np.uint64)  # all entries of a key are near
        found = [np.empty((0, 2), np.int64)]
        for own, nearest in _batches_of_runs(starts):
            first, last = own[0], own[-1]
            marks, bits = entries.marks[first:last], no_bits[first:last]
            pairs = similar_pairs(own - first, marks, bits, 0, WINDOW, nearest)
            found.append(first + np.unique(pairs, axis=0))
        joined = np.concatenate(found)
        return CandidatePairs(joined, np.zeros(len(joined), np.float32))

    @property
    def verifier(self) -> Verifier | None:
        return ShareInCommon(self.threshold, self.tolerance)


def _batches_of_runs(starts: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
    """Splits runs of equal keys into batches, so that the candidate pairs of one batch fit in
    memory. `starts` has the position of the first entry of each run, then the number of all
    entries.

    Yields two values for each batch: the slice of `starts` for the runs of the batch, and the
    number of other entries of a run with which each entry is paired. This number is WINDOW, or
    NEAREST for runs of more than WINDOW entries. Long and short runs are in separate batches.
    """
    lengths = np.diff(starts)
    long = lengths > WINDOW
    batch = np.cumsum(lengths) // _BATCH_ENTRIES
    new = (np.diff(batch) > 0) | (np.diff(long) != 0)
    borders = [0, *(np.flatnonzero(new) + 1).tolist(), len(lengths)]
    for first, last in pairwise(borders):
        if last > first:
            yield starts[first : last + 1], NEAREST if long[first] else WINDOW


@dataclass(frozen=True)
class ShareInCommon:
    """Computes the similarity of two records: the number of images that are in both records,
    divided by the number of images of the record with fewer images.

    Records with images [p, q] and [q, r, s, t] have a similarity of 1/2. Images of one record in
    one family count once. An image is in both records if an image of the other record is in the
    same family, and the two images differ by no more than the tolerance. The family alone is not
    enough: by a chain of other images, it can connect images that do not look the same.
    """

    min_similarity: float
    tolerance: Tolerance
    columns: ClassVar[tuple[str, ...]] = (IMAGE_FAMILIES, *LOOKS)

    def features(self, table: pa.Table) -> pa.Array:
        """Returns _WORDS numbers for each image of a record that has a hash: a hash of its family
        (group of similar images), the hash of the image, the hash of its mirror image, and its
        small colour image (8 x 8 pixels)."""
        rows, known = _known(table)
        _, families = media_lists(table[IMAGE_FAMILIES])
        values = np.asarray(families.fill_null(0)).astype(np.uint64)
        short = (combine_hashes(values, ~values) >> np.uint64(32)).astype(np.uint32)
        order = np.lexsort((short[known], rows))
        words = np.empty((len(order), _WORDS), np.uint32)
        words[:, 0] = short[known[order]]
        hashes = np.ascontiguousarray(both_hashes(table)[known[order]])
        words[:, 1:_HASH_WORDS] = hashes.view(np.uint32).reshape(-1, _HASH_WORDS - 1)
        words[:, _HASH_WORDS:] = small_colours(table)[known[order]].view(np.uint32)
        counts = np.bincount(rows, minlength=table.num_rows)
        ends = _WORDS * np.concatenate([[0], np.cumsum(counts)])
        return pa.ListArray.from_arrays(
            pa.array(ends.astype(np.int32)), pa.array(words.reshape(-1))
        )

    def similarity(self, pairs: np.ndarray, features: pa.Array) -> np.ndarray:
        from manifests.kernels.common_images import common_images
        from manifests.kernels.look_alike import looks

        offsets = np.asarray(features.offsets).astype(np.int64) // _WORDS
        words = np.asarray(features.values).reshape(-1, _WORDS)
        families = np.ascontiguousarray(words[:, 0])
        hashes = np.ascontiguousarray(words[:, 1:_HASH_WORDS]).view(np.uint64)
        colours = np.ascontiguousarray(words[:, _HASH_WORDS:]).view(np.uint8)
        return common_images(pairs, families, looks(offsets, hashes, colours), self.tolerance)


def _known(table: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """Returns, for each image that has a hash, the number of its record in the table, and the
    number of the image among all images of the table."""
    offsets, families = media_lists(table[IMAGE_FAMILIES])
    known = np.flatnonzero(np.asarray(families.is_valid()))
    return np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))[known], known


def _same_images(table: pa.Table) -> pa.Array:
    """Returns a 128-bit hash for each record. Records have equal hashes if their images, in order,
    have the same perceptual hashes and the same small colour images (8 x 8 pixels). Images without
    a hash are ignored."""
    rows, known = _known(table)
    counts = np.bincount(rows, minlength=table.num_rows)
    return list_identities(
        np.concatenate([[0], np.cumsum(counts)]), certain_identities(table)[known]
    )


def _families(table: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """Returns the distinct families (groups of similar images) to which the images of each record
    belong, in order of first appearance.

    Returns (offsets, values): record i has values[offsets[i] : offsets[i + 1]]. Images without a
    hash are ignored.
    """
    rows, known = _known(table)
    _, families = media_lists(table[IMAGE_FAMILIES])
    values = np.asarray(families.fill_null(0)).astype(np.uint64)[known]
    order = np.lexsort((values, rows))
    first = np.ones(len(order), bool)
    first[1:] = (values[order][1:] != values[order][:-1]) | (rows[order][1:] != rows[order][:-1])
    kept = np.sort(order[first])
    counts = np.bincount(rows[kept], minlength=table.num_rows)
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), values[kept]
