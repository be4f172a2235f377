"""Compares records whose images are in the same families: each image of a record must look like the
image at the same position in the other record.

A family of images may be a chain: a looks like b, and b like c, but a does not look like c. So
records are not duplicates merely because their images are in the same families.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from filters.duplicates.corpus.rows import RowReader
from filters.duplicates.corpus.units import Source, UnitsOfSource, split_unit_ids, unit_ids
from filters.duplicates.files.batches import read_batch, write_batches
from filters.duplicates.files.edges import Edges
from filters.duplicates.kinds.perceptual import HASH
from filters.duplicates.phases.forest import Forest, spanning_forest
from filters.duplicates.ranking.members import Members, image_similarity, read_members
from manifests import storage
from manifests.record import media_lists
from manifests.step import TaskResult, Workspace
from manifests.storage import parts

MAX_COMPARED = 4096
"""In each round of the search, a record that is not connected yet is compared with at most this
many of the records that the round before has connected (our choice). Only families of records of
several images, or with equal texts, need this."""
_BLOCK_PAIRS = 1 << 20
_RECORDS = pa.schema([("record", pa.uint32())])


@dataclass(frozen=True)
class FindRecords:
    """A task: finds the record to which each listed image of a source belongs."""

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
    """Compares the images of two records. A pair of records is proven to be duplicates if each
    image looks like the image at the same position in the other record: their similarity is at
    least `min_similarity`.

    `images` is the forest of images that look the same.
    """

    rows: RowReader
    sources: list[Source]
    images: Forest
    min_similarity: float

    def proven(self, pairs: Edges, space: Workspace) -> Edges:
        """Returns those pairs of records whose images all look the same, position by position. The
        similarities of the pairs do not change."""
        units, (a, b) = _numbered(pairs)
        if not len(units):
            return pairs
        members = self._members(units, space, "looks")
        return pairs.take(self._similarity(members, a, b) >= self.min_similarity)

    def links(self, same: Edges, space: Workspace) -> Edges:
        """Returns proven pairs that connect the records of each family of `same`, with the
        similarity of their images. `same` connects records whose images are in the same families.

        Example: images a and b look the same, b and c too, but a and c do not. The records of a and
        c are connected by way of the record of b; if there is no such record, they are not
        connected.
        """
        if not len(same.a):
            return same
        units, _ = _numbered(same)
        members = self._members(units, space, "looks")
        family = spanning_forest(same).component
        known = self._pairs_of_images(units, family, space)
        similarity = self._similarity(members, *known)
        proven = similarity >= self.min_similarity
        found = [(known[0][proven], known[1][proven], similarity[proven])]
        open_ = _not_connected(units, family, found[0])
        found += self._search(members, family, np.flatnonzero(open_))
        first, second, near = (np.concatenate(column) for column in zip(*found, strict=True))
        return Edges.between(units[first], units[second], near)

    def _members(self, units: np.ndarray, space: Workspace, name: str) -> Members:
        return read_members(units, self.rows, self.sources, (), True, space, name)

    def _similarity(self, members: Members, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        blocks = [np.empty(0, np.float32)]
        for start in range(0, len(a), _BLOCK_PAIRS):
            some = slice(start, start + _BLOCK_PAIRS)
            blocks.append(image_similarity(members, a[some], b[some]))
        return np.concatenate(blocks)

    def _pairs_of_images(
        self, units: np.ndarray, family: np.ndarray, space: Workspace
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns pairs of records that are in one family and have two images which look the same.
        Records are given by their positions in `units`."""
        record = self._records_of_images(space)
        ends = record[self.images.a], record[self.images.b]
        at = [np.minimum(np.searchsorted(units, end), len(units) - 1) for end in ends]
        one_family = family[at[0]] == family[at[1]]
        here = (units[at[0]] == ends[0]) & (units[at[1]] == ends[1]) & (at[0] != at[1])
        return at[0][here & one_family], at[1][here & one_family]

    def _records_of_images(self, space: Workspace) -> np.ndarray:
        """Returns, for each image in the forest of similar images, the unit id of its record."""
        numbers, own = split_unit_ids(self.images.units)
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

    def _search(
        self, members: Members, family: np.ndarray, open_: np.ndarray
    ) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Connects the records `open_` of each family by a breadth-first search: first all records
        that look like the first record, then all that look like one of these, and so on. Records
        that remain start a new search. Returns the pairs found in each round."""
        found = []
        last = _firsts(family, open_)
        open_ = np.setdiff1d(open_, last)
        while len(open_):
            near = self._nearest(members, family, last, open_)
            found.append(near)
            last = near[1]
            open_ = np.setdiff1d(open_, last)
            ended = open_[~np.isin(family[open_], family[last])]
            last = np.union1d(last, _firsts(family, ended))
            open_ = np.setdiff1d(open_, last)
        return found

    def _nearest(
        self, members: Members, family: np.ndarray, last: np.ndarray, open_: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pairs each record in `open_` with the most similar of the records `last` of the same
        family. Returns (first, second, similarity) of the pairs whose images all look the same."""
        last = last[np.argsort(family[last], kind="stable")]
        start = np.searchsorted(family[last], family[open_], side="left")
        count = np.searchsorted(family[last], family[open_], side="right") - start
        count = np.minimum(count, MAX_COMPARED)
        best = np.full(len(open_), -1, np.int64)
        nearest = np.full(len(open_), -1, np.float32)
        for place in range(int(count.max(initial=0))):
            some = np.flatnonzero(count > place)
            near = self._similarity(members, last[start[some] + place], open_[some])
            better = near > nearest[some]
            nearest[some[better]] = near[better]
            best[some[better]] = last[start[some[better]] + place]
        proven = nearest >= self.min_similarity
        return best[proven], open_[proven], nearest[proven]


def _numbered(pairs: Edges) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Returns the distinct units of the pairs, ascending, and the position in this list of both
    units of each pair."""
    units = np.unique(np.concatenate([pairs.a, pairs.b]))
    return units, (np.searchsorted(units, pairs.a), np.searchsorted(units, pairs.b))


def _firsts(family: np.ndarray, some: np.ndarray) -> np.ndarray:
    """Returns the first record of each family among the records `some`, which are ascending
    positions."""
    return some[np.sort(np.unique(family[some], return_index=True)[1])]


def _not_connected(
    units: np.ndarray, family: np.ndarray, pairs: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> np.ndarray:
    """Returns a mask of the units whose family is not connected completely by the pairs."""
    from manifests.kernels.union_find import spanning_edges

    _, component = spanning_edges(pairs[0], pairs[1], len(units))
    whole = component == component[family]
    broken = np.zeros(len(units), bool)
    broken[family[~whole]] = True
    open_: np.ndarray = broken[family]
    return open_
