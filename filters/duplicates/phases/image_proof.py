"""Compares records whose images are in the same families: each image of a record must look like the
image at the same position in the other record.

A family of images is a chain in which neighbours have near hashes. If a is near b, and b is near c,
the three are in one family, even if a is not near c. Images with near hashes may also have
different colours. So two records whose images are in the same families are compared again, by the
hashes and the small colour images (8 x 8 pixels) of their images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from filters.duplicates.corpus.rows import RowReader
from filters.duplicates.corpus.units import Source, UnitsOfSource, split_unit_ids, unit_ids
from filters.duplicates.files.batches import read_batch, write_batches
from filters.duplicates.files.edges import Edges
from filters.duplicates.kinds.perceptual import HASH, Tolerance
from filters.duplicates.phases.families import MAX_COMPARED, by_family
from filters.duplicates.phases.forest import Forest, spanning_forest
from filters.duplicates.phases.hubs import left_note, note
from filters.duplicates.ranking.members import (
    Members,
    image_similarity,
    read_members,
    similarity_of_bits,
)
from manifests import storage
from manifests.record import media_lists
from manifests.step import TaskResult, Workspace
from manifests.storage import parts

if TYPE_CHECKING:
    from manifests.kernels.look_families import Links

_BLOCK_PAIRS = 1 << 20
"""The number of pairs that are compared at once (our choice)."""
_RECORDS = pa.schema([("record", pa.uint32())])


@dataclass(frozen=True)
class FindRecords:
    """A task: finds, for each image in a list of images of a source, the record to which the image
    belongs. The list is in the file `images_uri`."""

    rows: RowReader
    images_uri: str

    def __call__(self, task: UnitsOfSource, folder: str) -> TaskResult:
        images = np.asarray(read_batch(self.images_uri, task.batch)["image"])
        offsets, _ = media_lists(self.rows(task.source, (HASH,))[HASH])
        records = np.searchsorted(offsets, images, side="right") - 1
        table = pa.table([pa.array(records.astype(np.uint32))], schema=_RECORDS)
        uri = storage.join(folder, task.name + ".records.arrow")
        return TaskResult([parts.write(uri, _RECORDS, [table], durable=False)], {})


@dataclass(frozen=True)
class ImageProof:
    """Compares the images of two records. Two records are proven to be duplicates if each image of
    one record looks like the image at the same position in the other record: both their hashes and
    their colours differ little enough.

    `images` is the forest of images with near hashes; None if the search is for duplicate images,
    so that each of the records is a single image.
    """

    rows: RowReader
    sources: list[Source]
    images: Forest | None
    tolerance: Tolerance

    def proven(self, pairs: Edges, space: Workspace) -> Edges:
        """Returns the pairs of `pairs` in which each image of one record looks the same as the
        image at the same position in the other record. The similarities of the pairs do not change.
        """
        units, (a, b) = _numbered(pairs)
        if not len(units):
            return pairs
        members = self._members(units, space, "looks")
        return pairs.take(self._similarity(members, a, b) > 0)

    def links(self, same: Edges, space: Workspace) -> Edges:
        """Returns pairs of records whose images look the same, with their similarity.

        `same` has pairs of records whose images have near hashes, or are connected by chains of
        near hashes. All records that the pairs of `same` connect are a group. The returned pairs
        connect the records of a group as far as possible: two records are connected if there is a
        chain from one to the other in which neighbours look the same. In a group, at most
        MAX_COMPARED records are compared with all others. A note for the user states how many
        records were not compared with all others.

        Example: three records with one image each, a, b and c, are a group. a looks like b and b
        looks like c, but a does not look like c. The pairs a-b and b-c connect all three. If the
        group has only a and c, nothing connects them.
        """
        if not len(same.a):
            return same
        units, ends = _numbered(same)
        members = self._members(units, space, "looks")
        family = spanning_forest(same).component
        known = ends
        if self.images is not None:
            known = self._pairs_of_images(self.images, units, family, space)
        similarity = self._similarity(members, *known)
        proven = similarity > 0
        found = [(known[0][proven], known[1][proven], similarity[proven])]
        open_ = _not_connected(units, family, found[0])
        chains = self._search(members, family, np.flatnonzero(open_))
        note(space, left_note(chains.left, MAX_COMPARED))
        found.append((chains.first, chains.second, similarity_of_bits(chains.bits)))
        first, second, near = (np.concatenate(column) for column in zip(*found, strict=True))
        return Edges.between(units[first], units[second], near)

    def _members(self, units: np.ndarray, space: Workspace, name: str) -> Members:
        return read_members(units, self.rows, self.sources, (), True, space, name)

    def _similarity(self, members: Members, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        blocks = [np.empty(0, np.float32)]
        for start in range(0, len(a), _BLOCK_PAIRS):
            some = slice(start, start + _BLOCK_PAIRS)
            blocks.append(image_similarity(members, a[some], b[some], self.tolerance))
        return np.concatenate(blocks)

    def _pairs_of_images(
        self, images: Forest, units: np.ndarray, family: np.ndarray, space: Workspace
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns the pairs of records of one family in which an image of the first record and an
        image of the second record are a pair of the forest `images` (images with near hashes).

        A record is given by its position in `units`. family[i] is the family of record units[i], a
        group of records that are linked by similar images.
        """
        record = self._records_of_images(images, space)
        ends = record[images.a], record[images.b]
        at = [np.minimum(np.searchsorted(units, end), len(units) - 1) for end in ends]
        one_family = family[at[0]] == family[at[1]]
        here = (units[at[0]] == ends[0]) & (units[at[1]] == ends[1]) & (at[0] != at[1])
        return at[0][here & one_family], at[1][here & one_family]

    def _records_of_images(self, images: Forest, space: Workspace) -> np.ndarray:
        """Returns, for each image in the forest of similar images, the unit id of its record."""
        numbers, own = split_unit_ids(images.units)
        with_images, starts = np.unique(numbers, return_index=True)
        uri = storage.join(space.scratch, "images.arrow")
        table = pa.table({"image": pa.array(own)})
        write_batches(uri, table, [*starts, len(own)])
        named = enumerate(with_images.tolist())
        tasks = [UnitsOfSource(self.sources[n], batch) for batch, n in named]
        folder, commits = space.phase("records", FindRecords(self.rows, uri), tasks)
        found = [np.empty(0, np.uint64)]
        for number, commit in zip(with_images.tolist(), commits, strict=True):
            table = parts.read_columns(storage.join(folder, commit.files[0].name))
            found.append(unit_ids(number, np.asarray(table["record"])))
        return np.concatenate(found)

    def _search(self, members: Members, family: np.ndarray, open_: np.ndarray) -> Links:
        """Compares records of the same family, and returns the pairs of records that look the same.
        `open_` has the positions of the records to compare. These are the records of families that
        are not yet completely connected by the pairs found so far. family[i] is the family of
        record i, a group of records that are linked by similar images."""
        from manifests.kernels.look_families import chained

        assert members.looks is not None
        starts, order = by_family(family[open_])
        return chained(members.looks, starts, open_[order], self.tolerance, MAX_COMPARED)


def _numbered(pairs: Edges) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Returns the distinct units (records or images) of the pairs, ascending; and two arrays of
    positions in this array: for each pair, the position of its first unit, and the position of its
    second unit."""
    units = np.unique(np.concatenate([pairs.a, pairs.b]))
    return units, (np.searchsorted(units, pairs.a), np.searchsorted(units, pairs.b))


def _not_connected(
    units: np.ndarray, family: np.ndarray, pairs: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> np.ndarray:
    """Returns a mask of the units (records) in families that the links `pairs` (first unit, second
    unit, similarity) do not connect completely. If the only link in a family of a, b and c is a-b,
    the mask has all three. family[i] is the position of the first unit in the family of
    units[i]."""
    from manifests.kernels.union_find import spanning_edges

    _, component = spanning_edges(pairs[0], pairs[1], len(units))
    whole = component == component[family]
    broken = np.zeros(len(units), bool)
    broken[family[~whole]] = True
    open_: np.ndarray = broken[family]
    return open_
