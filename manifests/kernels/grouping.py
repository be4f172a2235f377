"""Sorts entries into ranges of keys, and finds pairs of similar entries that share a key.

An entry is one key of one unit. A unit is a record or an image, and duplicates among the units are
searched for. A unit has several keys; near-duplicates share at least one key.
"""

from __future__ import annotations

import numpy as np
from numba import int64, types, uint32, uint64, void

from manifests.kernels.compiling import compiled
from manifests.kernels.popcount import popcount

_WORDS = types.Array(uint64, 1, "C", readonly=True)
_PAYLOAD = types.Array(uint64, 2, "C", readonly=True)
_NUMBERS = types.Array(int64, 1, "C", readonly=True)

_SHORT = 32
"""Runs up to this length are sorted by insertion, longer runs by merging (our choice)."""
_1 = np.uint64(1)


class Partitioned:
    """Entries that are grouped by ranges of their keys. An entry is one key of one unit, and a unit
    is a record or an image.

    The entries of range r have the indexes starts[r] to starts[r + 1] - 1 in four arrays: `keys`;
    `units`, the number of the unit; `marks`, a hash of the unit's content; and `payload`, further
    numbers of the unit.
    """

    def __init__(self, rows: int, words: int, ranges: int) -> None:
        self.starts = np.zeros(ranges + 1, np.int64)
        self.keys, self.marks = np.empty(rows, np.uint64), np.empty(rows, np.uint64)
        self.units = np.empty(rows, np.uint32)
        self.payload = np.empty((rows, words), np.uint64)


def partition(
    keys: np.ndarray, owners: np.ndarray, marks: np.ndarray, payload: np.ndarray, bits: int
) -> Partitioned:
    """Groups entries into 2^bits ranges by the highest bits of their keys. The entries of one range
    keep their order. An entry is one key of one unit, and a unit is a record or an image.

    Entry i has the key keys[i] (uint64) and belongs to the unit u = owners[i] (int64). The result
    has a copy of marks[u] (uint64: a hash of the unit's content) and of payload[u] (a row of
    uint64) for each entry.
    """
    out = Partitioned(len(keys), payload.shape[1], 1 << bits)
    _partition(
        keys, owners, marks, payload, bits, out.starts, out.keys, out.marks, out.units, out.payload
    )
    return out


def runs(keys: np.ndarray) -> np.ndarray:
    """Returns int64: where each run of equal keys starts, followed by the number of keys.

    runs([4, 4, 7]) -> [0, 2, 3]
    """
    if not len(keys):
        return np.zeros(1, np.int64)
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    return np.append(starts, len(keys)).astype(np.int64)


def by_mark(keys: np.ndarray, marks: np.ndarray) -> np.ndarray:
    """Returns the indexes of all keys, int64, sorted by key and then by mark. Keys with the same
    mark keep their order. `keys` is sorted already. `marks` has a mark for each key: a hash of the
    content of the unit that has the key.

    by_mark([4, 4, 7], [9, 2, 5]) -> [1, 0, 2]
    """
    order = np.arange(len(keys), dtype=np.int64)
    _sort_runs(runs(keys), marks, order)
    return order


def similar_pairs(
    starts: np.ndarray,
    marks: np.ndarray,
    bits: np.ndarray,
    max_bits: int,
    window: int,
    nearest: int,
) -> np.ndarray:
    """Returns pairs of similar entries, (k, 2) int64. Entry i has the 128 bits bits[i], two uint64.
    Two entries are similar if they have a key in common and differ in at most `max_bits` bits.

    The entries starts[r] to starts[r + 1] - 1 have a key in common, and are sorted by their
    `marks`, hashes of their contents. If several of these entries have the same mark, only the
    first is compared. Each entry is compared with at most `window` entries before it. It is paired
    with at most `nearest` of them: the entries that differ from it in the fewest bits. So the time
    grows linearly with the number of entries, even if many entries share a key.
    """
    pairs = np.empty((len(marks) * nearest, 2), np.int64)
    found = _similar_pairs(starts, marks, bits, max_bits, window, nearest, pairs)
    return pairs[:found]


@compiled(
    void(
        _WORDS,
        _NUMBERS,
        _WORDS,
        _PAYLOAD,
        int64,
        int64[::1],
        uint64[::1],
        uint64[::1],
        uint32[::1],
        uint64[:, ::1],
    )
)
def _partition(
    keys: np.ndarray,
    owners: np.ndarray,
    marks: np.ndarray,
    payload: np.ndarray,
    bits: int,
    starts: np.ndarray,
    out_keys: np.ndarray,
    out_marks: np.ndarray,
    out_units: np.ndarray,
    out_payload: np.ndarray,
) -> None:
    # A shift by 64 bits is undefined, so each shift is split into two: by 63 - bits, then by 1.
    shift = np.uint64(63 - bits)
    counts = np.zeros(len(starts), np.int64)
    for i in range(len(keys)):
        counts[keys[i] >> shift >> _1] += 1
    at = 0
    for r in range(len(starts) - 1):
        starts[r] = at
        at += counts[r]
        counts[r] = starts[r]
    starts[-1] = at
    for i in range(len(keys)):
        r = keys[i] >> shift >> _1
        to = counts[r]
        counts[r] = to + 1
        owner = owners[i]
        out_keys[to] = keys[i]
        out_marks[to] = marks[owner]
        out_units[to] = owner
        for w in range(payload.shape[1]):
            out_payload[to, w] = payload[owner, w]


@compiled(void(_NUMBERS, _WORDS, int64[::1]))
def _sort_runs(starts: np.ndarray, marks: np.ndarray, order: np.ndarray) -> None:
    for run in range(len(starts) - 1):
        start, end = starts[run], starts[run + 1]
        if end - start > _SHORT:
            order[start:end] = start + np.argsort(marks[start:end], kind="mergesort")
            continue
        for i in range(start + 1, end):  # by insertion: almost all runs have 2 or 3 entries
            at = i
            while at > start and marks[order[at - 1]] > marks[i]:
                order[at] = order[at - 1]
                at -= 1
            order[at] = i


@compiled(int64(_NUMBERS, _WORDS, _PAYLOAD, int64, int64, int64, int64[:, ::1]))
def _similar_pairs(
    starts: np.ndarray,
    marks: np.ndarray,
    bits: np.ndarray,
    max_bits: int,
    window: int,
    nearest: int,
    pairs: np.ndarray,
) -> int:
    recent = np.empty(window, np.int64)  # a ring buffer of the last entries, one for each mark
    near = np.empty(nearest, np.int64)  # the nearest recent entries, sorted by distance
    far = np.empty(nearest, np.int64)  # their distances
    found = 0
    for run in range(len(starts) - 1):
        seen = 0
        for i in range(starts[run], starts[run + 1]):
            if i > starts[run] and marks[i] == marks[i - 1]:
                continue
            kept = 0
            for back in range(1, min(seen, window) + 1):
                j = recent[(seen - back) % window]
                first = popcount(bits[i, 0] ^ bits[j, 0])
                distance = np.int64(first + popcount(bits[i, 1] ^ bits[j, 1]))
                if distance > max_bits or (kept == nearest and distance >= far[kept - 1]):
                    continue
                at = kept if kept < nearest else kept - 1
                while at > 0 and far[at - 1] > distance:
                    far[at], near[at] = far[at - 1], near[at - 1]
                    at -= 1
                far[at], near[at] = distance, j
                kept = min(kept + 1, nearest)
            for k in range(kept):
                pairs[found, 0], pairs[found, 1] = near[k], i
                found += 1
            recent[seen % window] = i
            seen += 1
    return found
