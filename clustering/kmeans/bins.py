"""Plans the cluster files: which clusters, or which share of a large cluster, go into one file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

BIN_BYTES = 64 << 20
"""The planned size of the vectors in a bin (our choice). A task needs about three times as much."""


class Bin(NamedTuple):
    """The rows of a file, and the task of a phase that works on them: all rows of the clusters
    `first` to `end` - 1; or, of one large cluster, the rows whose random key is in the range with
    the number `slice`, where all keys are divided into `slices` equal ranges."""

    number: int
    first: int
    end: int
    slice: int = 0
    slices: int = 1

    @property
    def name(self) -> str:
        return f"bin-{self.number:05d}"


def plan_bins(sizes: np.ndarray, row_bytes: int) -> tuple[Bin, ...]:
    """Returns the bins for clusters that are expected to have the numbers of rows `sizes`. A bin
    has at most BIN_BYTES if the sizes are as expected. A cluster of more bytes gets several bins.

    plan_bins([2, 3, 900], 2**18) -> one bin for clusters 0 and 1; four bins for cluster 2
    """
    return tuple(_bins(np.ceil(sizes * float(row_bytes)).astype(np.int64).tolist()))


def _bins(sizes: list[int]) -> Iterator[Bin]:
    number = first = held = 0
    for cluster, size in enumerate(sizes):
        if first < cluster and held + size > BIN_BYTES:
            yield Bin(number, first, cluster)
            number, first, held = number + 1, cluster, 0
        if size > BIN_BYTES:
            slices = -(-size // BIN_BYTES)
            for slice_ in range(slices):
                yield Bin(number + slice_, cluster, cluster + 1, slice_, slices)
            number, first, held = number + slices, cluster + 1, 0
        else:
            held += size
    if first < len(sizes):
        yield Bin(number, first, len(sizes))


def bin_numbers(bins: tuple[Bin, ...], clusters: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Returns (n,) int64: the number of the bin of each row, by its cluster and its random key."""
    whole = [one for one in bins if one.slice == 0]
    first = np.array([one.number for one in whole])
    slices = np.array([one.slices for one in whole], np.uint64)
    found = np.searchsorted([one.first for one in whole], clusters, side="right") - 1
    slice_ = (keys >> np.uint64(32)) * slices[found] >> np.uint64(32)
    numbers: np.ndarray = first[found] + slice_.astype(np.int64)
    return numbers
