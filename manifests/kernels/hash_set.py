"""Sets of 32-bit hashes: many in one array, and one to look into, for kernels to call.

The set to look into is emptied by counting on: a slot holds a hash below the number of the set it
was put into, so those of an earlier set read as free. Where a hash's own slot is taken it goes into
the next free one (linear probing).
"""

from __future__ import annotations

import numpy as np
from numba import int64, types, uint32

from manifests.kernels.compiling import inlined

HASHES = types.Array(uint32, 1, "C", readonly=True)
SET_OFFSETS = types.Array(int64, 1, "C", readonly=True)
"""Set i is hashes[offsets[i] : offsets[i + 1]]."""

_SPARSE_BITS = 16
_ONE, _32, _64 = np.uint64(1), np.uint64(32), np.uint64(64)
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
"""2^64 over the golden ratio: multiplicative hashing (Knuth, TAOCP 3, section 6.4)."""


def _slot_bits(count: int) -> int:
    """The bits of a slot's number: 8 slots or more for each hash up to 2^16 slots, 512 KB, then 2
    or more. Three times as fast as 2 throughout: seldom is a slot taken (both ours, measured)."""
    bits = 1
    while 1 << bits < 2 * count or (bits < _SPARSE_BITS and 1 << bits < 8 * count):
        bits += 1
    return bits


slot_bits = inlined(_slot_bits)


def slots_for(most: int) -> np.ndarray:
    """Room for sets of up to so many hashes, uint64."""
    return np.zeros(1 << _slot_bits(most), np.uint64)


@inlined
def slot_of(slots: np.ndarray, bits: int, entry: np.uint64) -> np.uint64:
    """The slot of an entry (number of the set, hash), or the free one where it would go."""
    last = (_ONE << np.uint64(bits)) - _ONE
    slot = (entry << _32 >> _32) * _SPREAD >> (_64 - np.uint64(bits))
    while slots[slot] != entry and slots[slot] >> _32 == entry >> _32:
        slot = (slot + _ONE) & last
    return slot


@inlined
def put(slots: np.ndarray, bits: int, number: np.uint64, hashed: np.uint32) -> bool:
    """Put a hash into the set of that number, 1 or more; whether it was not there yet."""
    entry = number << _32 | np.uint64(hashed)
    slot = slot_of(slots, bits, entry)
    was_there = slots[slot] == entry
    slots[slot] = entry
    return not was_there
