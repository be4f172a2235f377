"""Finds which records of a family look alike. A family is a group of records whose images have
similar hashes. Two records look alike if each image of one record and the image at the same
position in the other record look alike: both their hashes and their colours differ little enough.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import boolean, int64, types

from manifests.kernels.compiling import compiled
from manifests.kernels.look_alike import LOOKS, TOLERANCE, Looks, Tolerance, plain, record_bits

_NUMBERS = types.Array(int64, 1, "C", readonly=True)
_MASK = types.Array(boolean, 1, "C", readonly=True)


class Links(NamedTuple):
    """Pairs of records that look alike, found within families, which are groups of records with
    similar hashes.

    `first` and `second` (k,) int64: the two records of each pair. `bits` (k,) int64: the number of
    bits in which the hashes of their images differ. Images at the same position in both records are
    compared, and the highest number of bits is taken. `left`: how many records were not compared
    with all others of their family. A search compares at most a given number of records of each
    family with the others, to limit the time.
    """

    first: np.ndarray
    second: np.ndarray
    bits: np.ndarray
    left: int


def chained(
    images: Looks, starts: np.ndarray, members: np.ndarray, tolerance: Tolerance, most: int
) -> Links:
    """Returns pairs of records of the same family that look alike. The pairs connect all records
    that can be connected by a chain of such pairs: if A looks like B, B like C, and A like C, the
    pairs A-B and B-C are enough.

    Family i has the records members[starts[i] : starts[i + 1]]. In each family, at most `most`
    records are compared with the others, to limit the time.
    """
    pairs, groups = _room(len(members)), _groups(starts, members)
    return _links(pairs, _chained(images, plain(tolerance), *groups, most, *pairs))


def starred(
    images: Looks,
    starts: np.ndarray,
    members: np.ndarray,
    tolerance: Tolerance,
    most: int,
    stays: np.ndarray,
) -> Links:
    """Chooses the records to keep. Returns pairs of a record that is kept (`first`) and a record of
    the same family that looks like it and can be dropped (`second`).

    Family i has the records members[starts[i] : starts[i + 1]], the preferred records first. The
    first record is kept, and every record that looks like it is paired with it. This is repeated
    with the records of the family that are neither kept nor in a pair, until none remain, or until
    `most` records of the family are kept; the limit saves time. `stays` (n,) bool: true for records
    that are never a `second`.
    """
    pairs, groups = _room(len(members)), _groups(starts, members)
    stays = np.ascontiguousarray(stays)
    return _links(pairs, _starred(images, plain(tolerance), *groups, stays, most, *pairs))


def _groups(*arrays: np.ndarray) -> list[np.ndarray]:
    return [np.ascontiguousarray(array, np.int64) for array in arrays]


def _room(records: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns two arrays for the results of a search: int64 (3, records) for the fields `first`,
    `second` and `bits` of `Links`, and (1,) for the field `left`. A family of k records has less
    than k pairs."""
    return np.empty((3, records), np.int64), np.zeros(1, np.int64)


def _links(pairs: tuple[np.ndarray, np.ndarray], found: int) -> Links:
    links, left = pairs
    first, second, bits = links[:, :found]
    return Links(first, second, bits, int(left[0]))


@compiled(int64(LOOKS, TOLERANCE, _NUMBERS, _NUMBERS, int64, int64[:, ::1], int64[::1]))
def _chained(
    images: Looks,
    tolerance: Tolerance,
    starts: np.ndarray,
    members: np.ndarray,
    most: int,
    links: np.ndarray,
    left: np.ndarray,
) -> int:
    """Does the work of `chained`: writes `first`, `second` and `bits` of the pairs into the three
    rows of `links`, and into `left` how many records were not compared with all others of their
    family. Returns the number of pairs.

    In each family, the search is breadth-first: `open_` has the records that are in no pair yet.
    `waiting` has the records that are in a pair, but that were not yet compared with the records in
    `open_`.
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
                apart = record_bits(images, tolerance, one, other)
                if apart < 0:
                    open_[rest] = other
                    rest += 1
                    continue
                links[0, found], links[1, found], links[2, found] = one, other, apart
                found += 1
                waiting[tail] = other
                tail += 1
            count = rest
        left[0] += count
    return found


@compiled(int64(LOOKS, TOLERANCE, _NUMBERS, _NUMBERS, _MASK, int64, int64[:, ::1], int64[::1]))
def _starred(
    images: Looks,
    tolerance: Tolerance,
    starts: np.ndarray,
    members: np.ndarray,
    stays: np.ndarray,
    most: int,
    links: np.ndarray,
    left: np.ndarray,
) -> int:
    """Does the work of `starred`: writes `first`, `second` and `bits` of the pairs into the three
    rows of `links`, and into `left` how many records were not compared with all others of their
    family. Returns the number of pairs."""
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
                    apart = record_bits(images, tolerance, one, other)
                if apart < 0:
                    open_[rest] = other
                    rest += 1
                    continue
                links[0, found], links[1, found], links[2, found] = one, other, apart
                found += 1
            count = rest
        left[0] += count
    return found
