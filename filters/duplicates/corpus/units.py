"""Converts the ids of units to their numbers within their sources, and back.

A unit is a record or a single image, whichever is compared. A source is a part of the corpus, or an
index file of an earlier run. Within a source units are numbered from 0. Across the corpus a unit
has a uint64 id: number of the source << 32 | number within the source.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

_SHIFT = np.uint64(32)


class Source(NamedTuple):
    """A file of units (records or images) that are compared: a part of the corpus, or an index file
    of an earlier run."""

    number: int
    name: str


class UnitsOfSource(NamedTuple):
    """The input of a task that reads some units (records or images) of one source. The numbers of
    these units are in record batch number `batch` of an Arrow file that the task knows."""

    source: Source
    batch: int

    @property
    def name(self) -> str:
        return self.source.name


def unit_ids(source: int, numbers: np.ndarray) -> np.ndarray:
    """Returns the ids (uint64), unique in the corpus, of units (records or images) of one source,
    given by their numbers in the source: unit_ids(1, [3]) -> [2**32 + 3]."""
    return (np.uint64(source) << _SHIFT) | numbers.astype(np.uint64)


def first_unit_id(source: int) -> int:
    """Returns the id of the first unit (record or image) of a source. All units of the sources with
    lower numbers have lower ids."""
    return source << 32


def split_unit_ids(units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns two int64 arrays for ids of units (records or images): the number of each unit's
    source, and the number of the unit within its source: split_unit_ids([2**32 + 3]) -> ([1],
    [3])."""
    return (units >> _SHIFT).astype(np.int64), (units & np.uint64(0xFFFFFFFF)).astype(np.int64)
