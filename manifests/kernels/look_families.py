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
    """Pairs of records that look alike, found within families.

    `first` and `second` (k,) int64: the two records of each pair. `bits` (k,) int64: the number of
    bits in which the hashes of their images differ, as in `record_bits`. `left`: how many records
    were not compared with all others of their family, because the limit `most` of the search was
    reached.
    """

    first: np.ndarray
    second: np.ndarray
    bits: np.ndarray
    left: int


def chained(
    images: Looks, starts: np.ndarray, members: np.ndarray, tolerance: Tolerance, most: int
) -> Links:
    """Returns pairs of records of the same family that look alike, enough to connect all records
    that a chain of such pairs would connect: if A looks like B, and B like C, the pairs A-B and B-C
    suffice.

    Family i has the records members[starts[i] : starts[i + 1]]. In each family, at most `most`
    records are compared with the others, to limit the time.
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
    """Returns pairs of a record that is kept (`first`) and a record of the same family that looks
    like it (`second`) and can be dropped.

    Family i has the records members[starts[i] : starts[i + 1]], the preferred records first. The
    first record is kept, and every record that looks like it is paired with it. The same is
    repeated with the remaining records, which are neither kept nor in a pair. In each family, at
    most `most` records are kept and compared with the others, to limit the time. `stays` (n,) bool:
    true for records that are never a `second`.
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
    """Writes the pairs that `chained` returns into `first`, `second` and `bits`. Writes into `left`
    how many records were not compared with all others of their family. Returns the number of pairs.

    It is a breadth-first search in each family: `waiting` has the records that are in a pair, and
    that are still to be compared with the records that are in no pair (`open_`). `stays` is not
    used.
    """
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
