"""Finds the sparsest records of the corpus: an exact number of them, without sorting all.

Records are in the order of their sparsity, the sparsest first; records of equal sparsity are in the
order of their random keys. The place of a record in this order is a number of 96 bits. The last of
the sparsest records is found by radix selection: the workers count how many records have each value
of the first 16 bits of the place. Among the records with the value in which the limit lies, they
then count the values of the next 16 bits, and so on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from clustering.kmeans.bins import Bin
from manifests import storage
from manifests.step import TaskResult, Workspace
from manifests.storage import parts

_BITS, _VALUES = 16, 1 << 16
_DIGITS = 6
"""The digits of a place: two of the sparsity, four of the random key."""


class Last(NamedTuple):
    """The place of the last of the sparsest records. `sparsity`: the inverted bits of its sparsity
    as float32. `key`: its random key. The place (0, -1) is before all records."""

    sparsity: int
    key: int


NOTHING = Last(0, -1)


def last_of_sparsest(folder: str, bins: tuple[Bin, ...], count: int, space: Workspace) -> Last:
    """Returns the place of the last of the `count` sparsest records. The files of the bins are in
    `folder`, with the columns `sparsity` (float32, 0 or more) and `key` (uint64)."""
    prefix: tuple[int, ...] = ()
    while count and len(prefix) < _DIGITS:
        counts = np.zeros(_VALUES, np.int64)
        work = _CountValues(folder, prefix)
        for commit in space.phase(f"sparsest-{len(prefix)}", work, bins)[1]:
            counts[commit.detail["values"]] += np.array(commit.detail["counts"], np.int64)
        up_to = np.cumsum(counts)
        value = int(np.searchsorted(up_to, count))
        count -= int(up_to[value] - counts[value])
        prefix = (*prefix, value)
        if count == counts[value]:  # all records of this value are among the sparsest
            prefix += (_VALUES - 1,) * (_DIGITS - len(prefix))
    if not prefix:
        return NOTHING
    whole = sum(value << _BITS * n for n, value in enumerate(reversed(prefix)))
    return Last(whole >> 64, whole & (1 << 64) - 1)


def sparsest(rows: pa.Table, last: Last) -> np.ndarray:
    """Returns for each row whether it is among the sparsest records, which end with `last`."""
    if last == NOTHING:
        return np.zeros(rows.num_rows, bool)
    sparsity, keys = _places(rows)
    first, own = np.uint32(last.sparsity), np.uint64(last.key)
    found: np.ndarray = (sparsity < first) | ((sparsity == first) & (keys <= own))
    return found


@dataclass(frozen=True)
class _CountValues:
    """A task of the radix selection, for which a place is six digits of 16 bits. Counts the records
    of a bin by the digit that follows the digits `prefix`. Records whose places do not begin with
    `prefix` are left out."""

    folder: str
    prefix: tuple[int, ...]

    def __call__(self, one: Bin, folder: str) -> TaskResult:
        uri = storage.join(self.folder, one.name + ".arrow")
        rows = parts.read_columns(uri, ("sparsity", "key"))
        sparsity, keys = _places(rows)
        within = np.ones(len(keys), bool)
        for number, value in enumerate(self.prefix):
            within &= _digit(sparsity, keys, number) == value
        digits = _digit(sparsity[within], keys[within], len(self.prefix))
        values, counts = np.unique(digits, return_counts=True)
        return TaskResult([], {"values": values.tolist(), "counts": counts.tolist()})


def _places(rows: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """Returns the place of each row: its first 32 bits, and its last 64 bits. The first 32 bits are
    the inverted bits of the sparsity. The bits of a float32 of 0 or more have the order of the
    numbers, so the inverted bits of the largest number come first."""
    return ~np.asarray(rows["sparsity"]).view(np.uint32), np.asarray(rows["key"])


def _digit(sparsity: np.ndarray, keys: np.ndarray, number: int) -> np.ndarray:
    words, shift = (sparsity, 1 - number) if number < 2 else (keys, _DIGITS - 1 - number)
    digits: np.ndarray = words >> words.dtype.type(_BITS * shift) & words.dtype.type(_VALUES - 1)
    return digits
