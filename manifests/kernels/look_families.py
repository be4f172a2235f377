"""Finds which records of a family look alike. A family is a group of records whose images have
similar hashes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import boolean, int64, types

from manifests.kernels.compiling import compiled
from manifests.kernels.look_alike import LOOKS, Looks, Tolerance, record_bits

_NUMBERS = types.Array(int64, 1, "C", readonly=True)


class Links(NamedTuple):
    """Pairs of records that look alike, `first` and `second` (k,) int64, and the bits in which they
    differ. `left` is the number of records that were not compared with all others, because their
    family has too many records that do not look alike."""

    first: np.ndarray
    second: np.ndarray
    bits: np.ndarray
    left: int


def chained(
    images: Looks, starts: np.ndarray, members: np.ndarray, tolerance: Tolerance, most: int
) -> Links:
    """Returns links between records that look alike. If a chain of records that look alike connects
    two records, then links connect them too.

    Family i has the records members[starts[i] : starts[i + 1]]; only records of one family are
    compared. At most `most` records of a family are compared with the others.
    """
    return _links(_chained, images, starts, members, tolerance, most, None)


def starred(
    images: Looks,
    starts: np.ndarray,
    members: np.ndarray,
    tolerance: Tolerance,
    most: int,
    stays: np.ndarray,
) -> Links:
    """Returns links from the records that are kept (`first`) to the records of the same family that
    look like them (`second`).

    The members of a family are in order of preference. The first is kept, and all that look like it
    are linked to it; then the same with the others. `stays` (n,) bool: records that are never
    linked to others. At most `most` records of a family are compared with the others.
    """
    return _links(_starred, images, starts, members, tolerance, most, stays)


def _links(
    work: object,
    images: Looks,
    starts: np.ndarray,
    members: np.ndarray,
    tolerance: Tolerance,
    most: int,
    stays: np.ndarray | None,
) -> Links:
    first, second, bits = (np.empty(len(members), np.int64) for _ in range(3))
    left = np.zeros(1, np.int64)
    out = (first, second, bits, left)
    mask = np.zeros(len(images.offsets) - 1, bool) if stays is None else stays
    groups = (np.ascontiguousarray(one, np.int64) for one in (starts, members))
    assert callable(work)
    found = work(*images, *tolerance, *groups, np.ascontiguousarray(mask), most, *out)
    return Links(first[:found], second[:found], bits[:found], int(left[0]))


_SIGNATURE = int64(
    *LOOKS,
    _NUMBERS,
    _NUMBERS,
    types.Array(boolean, 1, "C", readonly=True),
    int64,
    int64[::1],
    int64[::1],
    int64[::1],
    int64[::1],
)


@compiled(_SIGNATURE)
def _chained(
    offsets: np.ndarray,
    words: np.ndarray,
    colours: np.ndarray,
    tones: np.ndarray,
    distance: int,
    colour_distance: float,
    starts: np.ndarray,
    members: np.ndarray,
    stays: np.ndarray,
    most: int,
    first: np.ndarray,
    second: np.ndarray,
    bits: np.ndarray,
    left: np.ndarray,
) -> int:
    """Does the work of `chained` by a breadth-first search: `waiting` has the linked records that
    are still to be compared with the records which are not linked yet."""
    found = 0
    open_, waiting = np.empty(len(members), np.int64), np.empty(len(members), np.int64)
    for family in range(len(starts) - 1):
        count = starts[family + 1] - starts[family]
        open_[:count] = members[starts[family] : starts[family + 1]]
        compared, head, tail = 0, 0, 0
        while count > 0 and compared < most:
            if head == tail:  # a new chain begins with the first open record
                waiting[tail] = open_[0]
                tail += 1
                count -= 1
                for at in range(count):
                    open_[at] = open_[at + 1]
            one = waiting[head]
            head += 1
            compared += 1
            rest = 0
            for at in range(count):
                other = open_[at]
                apart = record_bits(
                    offsets, words, colours, tones, distance, colour_distance, one, other
                )
                if apart < 0:
                    open_[rest] = other
                    rest += 1
                    continue
                first[found], second[found], bits[found] = one, other, apart
                found += 1
                waiting[tail] = other
                tail += 1
            count = rest
        left[0] += count
    return found


@compiled(_SIGNATURE)
def _starred(
    offsets: np.ndarray,
    words: np.ndarray,
    colours: np.ndarray,
    tones: np.ndarray,
    distance: int,
    colour_distance: float,
    starts: np.ndarray,
    members: np.ndarray,
    stays: np.ndarray,
    most: int,
    first: np.ndarray,
    second: np.ndarray,
    bits: np.ndarray,
    left: np.ndarray,
) -> int:
    found = 0
    open_ = np.empty(len(members), np.int64)
    for family in range(len(starts) - 1):
        count = starts[family + 1] - starts[family]
        open_[:count] = members[starts[family] : starts[family + 1]]
        kept = 0
        while count > 0 and kept < most:
            one = open_[0]
            kept += 1
            rest = 0
            for at in range(1, count):
                other = open_[at]
                apart = -1
                if not stays[other]:
                    apart = record_bits(
                        offsets, words, colours, tones, distance, colour_distance, one, other
                    )
                if apart < 0:
                    open_[rest] = other
                    rest += 1
                    continue
                first[found], second[found], bits[found] = one, other, apart
                found += 1
            count = rest
        left[0] += count
    return found
