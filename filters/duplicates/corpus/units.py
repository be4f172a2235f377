"""The numbers of units, and of the sources of units.

A unit is what is compared: a record, or one image. Within a source units are numbered from 0.
Across the corpus a unit has a uint64 id: number of the source << 32 | number within the source.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

_SHIFT = np.uint64(32)


class Source(NamedTuple):
    """Where units come from: a part of the corpus, or a file of an earlier run's index."""

    number: int
    name: str


class UnitsOfSource(NamedTuple):
    """The input of a task: some units of one source. Their numbers are in record batch `batch` of a
    file."""

    source: Source
    batch: int

    @property
    def name(self) -> str:
        return self.source.name


def unit_ids(source: int, numbers: np.ndarray) -> np.ndarray:
    """Ids across the corpus, uint64, of units of one source: unit_ids(1, [3]) -> [2**32 + 3]."""
    return (np.uint64(source) << _SHIFT) | numbers.astype(np.uint64)


def first_unit_id(source: int) -> int:
    """The id of unit 0 of a source; all ids of earlier sources are smaller."""
    return source << 32


def split_unit_ids(units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the source of each unit, and its number within that source, both int64:
    split_unit_ids([2**32 + 3]) -> ([1], [3])."""
    return (units >> _SHIFT).astype(np.int64), (units & np.uint64(0xFFFFFFFF)).astype(np.int64)
