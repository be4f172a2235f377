"""Phase 2 of 5: finds equal units and pairs of similar units, in one task for each range of hashes.

A task reads the same range of all sources, so it sees all units (records or images) that share a
hash.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from filters.duplicates.corpus.units import Source
from filters.duplicates.files import edges
from filters.duplicates.files.edges import Edges
from filters.duplicates.files.ranges import EQUAL, NEAR, read_range
from filters.duplicates.kinds.contract import Entries, Kind
from filters.duplicates.kinds.identity import combine_hashes
from manifests import record, storage
from manifests.step import TaskResult


class IdentityRange(NamedTuple):
    """The input of a task that finds equal units (records or images): the number of a range of
    identities (hashes of the units' contents)."""

    number: int

    @property
    def name(self) -> str:
        return f"equal-{self.number:05d}"


class KeyRange(NamedTuple):
    """The input of a task that compares units (records or images): the keys of range `number`
    except its hot keys, or the single hot key `hot`. A hot key is a key that too many units have
    for one task.

    The entries of a hot key (one for each unit that has the key) are split into `slices` slices.
    The task compares all entries of the slices `first` and `second` with each other; the two may be
    the same slice.
    """

    number: int
    hot: int | None = None
    first: int = 0
    second: int = 0
    slices: int = 1

    @property
    def name(self) -> str:
        if self.hot is None:
            return f"near-{self.number:05d}"
        return f"near-{self.number:05d}-{self.hot:016x}-{self.first:04d}-{self.second:04d}"


def key_ranges(
    bits: int, hot: dict[int, int], max_entries: int, across_slices: bool
) -> list[KeyRange]:
    """Returns the inputs of all tasks that compare units (records or images): one task for each of
    2^bits ranges of keys, and tasks for the hot keys. A hot key has too many entries (units with
    this key) for one task; `hot` is the number of entries of each hot key. These entries are split
    into slices of at most `max_entries` entries.

    If `across_slices` is true, there is a task for every two slices of a hot key, which compares
    all entries of both slices with each other. Otherwise, there is a task for each slice, which
    compares the entries of this slice with each other. For three slices, the tasks are (0, 1), (0,
    2), (1, 2) if `across_slices` is true, and (0, 0), (1, 1), (2, 2) if it is false.
    """
    tasks = [KeyRange(number) for number in range(1 << bits)]
    for key, entries in sorted(hot.items()):
        slices, number = -(-entries // max_entries), key >> 63 - bits >> 1
        pairs = [(i, i) for i in range(slices)]
        if across_slices and slices > 1:
            pairs = [(i, j) for i in range(slices) for j in range(i + 1, slices)]
        tasks += [KeyRange(number, key, i, j, slices) for i, j in pairs]
    return tasks


@dataclass(frozen=True)
class LinkEqual:
    """A task: finds units (records or images) with the same identity (hash of their content), and
    writes pairs of the first unit of an identity and each other unit of this identity."""

    folder: str
    sources: list[Source]

    def __call__(self, task: IdentityRange, folder: str) -> TaskResult:
        table = read_range(self.folder, self.sources, EQUAL, task.number)
        if table is None:
            return TaskResult([], {})
        found = _link_equal(*(np.asarray(table[name]) for name in ("high", "low", "unit")))
        return _made(folder, task.name, found)


def _made(folder: str, name: str, found: Edges) -> TaskResult:
    """Writes the pairs `found` to the file `name`.arrow in the folder, and returns the result of
    the task. If there are no pairs, no file is written."""
    if not len(found.a):
        return TaskResult([], {})
    return TaskResult([edges.write(storage.join(folder, name + ".arrow"), found)], {})


def _link_equal(high: np.ndarray, low: np.ndarray, units: np.ndarray) -> Edges:
    """Returns pairs that link equal units (records or images): the unit with the lowest id among
    the units of an identity, and each other unit of this identity. Unit units[i] has the 128-bit
    identity (high[i], low[i])."""
    order = repeated_keys(high)
    order = order[np.lexsort((units[order], low[order], high[order]))]
    high, low, units = high[order], low[order], units[order]
    first = np.ones(len(order), bool)
    first[1:] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
    representative = units[first][np.cumsum(first) - 1]
    others = ~first
    similarity = np.ones(int(others.sum()), np.float32)
    return Edges.between(representative[others], units[others], similarity)


def repeated_keys(keys: np.ndarray) -> np.ndarray:
    """Returns the positions (int64) of keys that occur more than once, sorted by key, then
    position.

    repeated_keys([9, 4, 9, 7]) -> [0, 2]. The result may include a few keys that occur only once,
    because a key and its position are sorted as one 64-bit word, which has no room for all bits of
    the key. This sort is several times faster than sorting positions by key.
    """
    places = np.uint64(max(1, len(keys) - 1).bit_length())
    words = keys >> places << places | np.arange(len(keys), dtype=np.uint64)
    words.sort()
    short = words >> places
    equal = np.zeros(len(keys) + 1, bool)
    equal[1:-1] = short[1:] == short[:-1]
    several = words[equal[1:] | equal[:-1]] & ((np.uint64(1) << places) - np.uint64(1))
    order: np.ndarray = several.astype(np.int64)
    found = keys[order]
    return order if (found[1:] >= found[:-1]).all() else order[np.argsort(found, kind="stable")]


@dataclass(frozen=True)
class FindCandidates:
    """A task: finds the pairs of units (records or images) that share a key and may be duplicates
    according to `kind`.

    The keys in `hot`, which too many units have for one task, are compared by separate tasks.
    `first_earlier` is the lowest id of a unit from an earlier run's index. Units with this id or a
    higher id are never compared with each other.
    """

    kind: Kind
    folder: str
    sources: list[Source]
    hot: frozenset[int]
    first_earlier: int

    def __call__(self, task: KeyRange, folder: str) -> TaskResult:
        table = read_range(self.folder, self.sources, NEAR, task.number)
        found = Edges.joined([]) if table is None else self._edges(task, table)
        return _made(folder, task.name, found)

    def _edges(self, task: KeyRange, table: pa.Table) -> Edges:
        from manifests.kernels.grouping import by_mark

        keys, marks, units = (np.asarray(table[name]) for name in ("key", "mark", "unit"))
        order = repeated_keys(keys)
        order = order[self._row_mask(task, keys[order], marks[order])]
        order = order[by_mark(keys[order], marks[order])]
        words = np.asarray(record.one_chunk(table["payload"]).flatten())
        payload = words.reshape(len(keys), self.kind.words)[order]
        found = self.kind.candidates(Entries(keys[order], marks[order], payload))
        units = units[order]
        pairs = Edges.between(units[found.pairs[:, 0]], units[found.pairs[:, 1]], found.similarity)
        return pairs.take(pairs.a < self.first_earlier).distinct()

    def _row_mask(self, task: KeyRange, keys: np.ndarray, marks: np.ndarray) -> np.ndarray:
        """Returns a mask (n,) of the entries that the task compares. If the task is for one hot key
        (a key that too many units have for one task), these are the entries of this key that are in
        the task's slices; the slice of an entry follows from its mark. Otherwise these are all
        entries except the entries of hot keys."""
        if task.hot is None:
            if not self.hot:
                return np.ones(len(keys), bool)
            cold: np.ndarray = ~np.isin(keys, np.array(sorted(self.hot), np.uint64))
            return cold
        # Equal marks go to one slice, where the first entry of a mark represents the others.
        hashes = combine_hashes(marks, np.full(len(marks), task.hot, np.uint64))
        slices = (hashes >> np.uint64(32)).astype(np.int64) % task.slices
        own: np.ndarray = np.isin(slices, (task.first, task.second)) & (keys == task.hot)
        return own
