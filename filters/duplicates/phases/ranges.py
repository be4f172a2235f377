"""Second phase: where keys meet. One range at a time, units of all parts together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from filters.duplicates.contract import Entries, Kind, mixed
from filters.duplicates.phases import edges
from filters.duplicates.phases.edges import Edges
from filters.duplicates.phases.keys import NEAR, SAME, Source, read_range
from manifests import record, storage
from manifests.step import TaskResult


class SameRange(NamedTuple):
    """The identities of one range."""

    number: int

    @property
    def name(self) -> str:
        return f"same-{self.number:05d}"


class NearRange(NamedTuple):
    """The keys of one range but the hot ones; or one hot key: its slices `first` and `second` of
    `slices`, which are compared with each other."""

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


def near_tasks(bits: int, hot: dict[int, int], most: int, slices_meet: bool) -> list[NearRange]:
    """Every range, and every hot key (its entries given) in slices of at most `most` entries."""
    tasks = [NearRange(number) for number in range(1 << bits)]
    for key, entries in sorted(hot.items()):
        slices, number = -(-entries // most), key >> 63 - bits >> 1
        pairs = [(i, i) for i in range(slices)]
        if slices_meet and slices > 1:
            pairs = [(i, j) for i in range(slices) for j in range(i + 1, slices)]
        tasks += [NearRange(number, key, i, j, slices) for i, j in pairs]
    return tasks


@dataclass(frozen=True)
class MeetSame:
    """A task: link all units of one identity to the first of them."""

    folder: str
    sources: list[Source]

    def __call__(self, task: SameRange, folder: str) -> TaskResult:
        table = read_range(self.folder, self.sources, SAME, task.number)
        if table is None:
            return TaskResult([], {})
        found = _equal(*(np.asarray(table[name]) for name in ("high", "low", "unit")))
        if not len(found.a):
            return TaskResult([], {})
        return TaskResult([edges.write(storage.join(folder, task.name + ".arrow"), found)], {})


def _equal(high: np.ndarray, low: np.ndarray, units: np.ndarray) -> Edges:
    order = repeated(high)
    order = order[np.lexsort((units[order], low[order], high[order]))]
    high, low, units = high[order], low[order], units[order]
    first = np.ones(len(order), bool)
    first[1:] = (high[1:] != high[:-1]) | (low[1:] != low[:-1])
    standing = units[first][np.cumsum(first) - 1]
    others = ~first
    return Edges.between(standing[others], units[others], np.ones(int(others.sum()), np.float32))


def repeated(keys: np.ndarray) -> np.ndarray:
    """Positions of the keys that come more than once, and of very few others, by key; int64.

    A key and its position are sorted as one word, the key cut to what the position leaves of it:
    several times as fast as sorting positions by key. So two keys may be taken for one.
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
class MeetNear:
    """A task: the pairs of units that share a key and that the kind takes for near."""

    kind: Kind
    folder: str
    sources: list[Source]
    hot: frozenset[int]
    foreign: int
    """Units from this one on are of an earlier corpus: they are not compared with each other."""

    def __call__(self, task: NearRange, folder: str) -> TaskResult:
        table = read_range(self.folder, self.sources, NEAR, task.number)
        found = Edges.joined([]) if table is None else self._edges(task, table)
        if not len(found.a):
            return TaskResult([], {})
        return TaskResult([edges.write(storage.join(folder, task.name + ".arrow"), found)], {})

    def _edges(self, task: NearRange, table: pa.Table) -> Edges:
        from manifests.kernels.grouping import by_mark

        keys, marks, units = (np.asarray(table[name]) for name in ("key", "mark", "unit"))
        order = repeated(keys)
        order = order[self._concerned(task, keys[order], marks[order])]
        order = order[by_mark(keys[order], marks[order])]
        words = np.asarray(record.one_chunk(table["payload"]).flatten())
        payload = words.reshape(len(keys), self.kind.words)[order]
        met = self.kind.meet(Entries(keys[order], marks[order], payload))
        units = units[order]
        found = Edges.between(units[met.pairs[:, 0]], units[met.pairs[:, 1]], met.similarity)
        return found.take(found.a < self.foreign).distinct()

    def _concerned(self, task: NearRange, keys: np.ndarray, marks: np.ndarray) -> np.ndarray:
        if task.hot is None:
            if not self.hot:
                return np.ones(len(keys), bool)
            cold: np.ndarray = ~np.isin(keys, np.array(sorted(self.hot), np.uint64))
            return cold
        # Equal marks go to one slice, where the first of them stands for all.
        spread = mixed(marks, np.full(len(marks), task.hot, np.uint64))
        number = (spread >> np.uint64(32)).astype(np.int64) % task.slices
        mine: np.ndarray = np.isin(number, (task.first, task.second)) & (keys == task.hot)
        return mine
