"""A hash set of 32-bit hashes that can be emptied without any work; called by compiled loops.

Many sets use the same table, one after another; they have the numbers 1, 2, 3, ... A slot has the
number of its set in the upper 32 bits and a hash in the lower 32 bits, so a slot of an earlier set
is free for the present set. If the slot of a hash is taken, the hash goes into the next free slot
(linear probing).
"""

from __future__ import annotations

import numpy as np
from numba import int64, types, uint32

from manifests.kernels.compiling import inlined

HASHES = types.Array(uint32, 1, "C", readonly=True)
SET_OFFSETS = types.Array(int64, 1, "C", readonly=True)
"""The numba type of `offsets` where many sets are stored in one array: set i is hashes[offsets[i] :
offsets[i + 1]]."""

_SPARSE_BITS = 16
_ONE, _32, _64 = np.uint64(1), np.uint64(32), np.uint64(64)
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
"""2^64 / golden ratio, for multiplicative hashing (Knuth, TAOCP 3, section 6.4)."""


def _slot_bits(count: int) -> int:
    """Returns the number of bits of a slot's index, in a table for `count` hashes: 3 -> 5, so 32
    slots.

    A table of up to 2^16 slots (512 KB) has at least 8 slots for each hash; a larger table has at
    least 2. We chose 8 because the table is then three times as fast as with 2: a slot is rarely
    taken.
    """
    bits = 1
    while 1 << bits < 2 * count or (bits < _SPARSE_BITS and 1 << bits < 8 * count):
        bits += 1
    return bits


slot_bits = inlined(_slot_bits)


def empty_slots(max_hashes: int) -> np.ndarray:
    """Returns an empty hash table (uint64) for sets of at most `max_hashes` hashes."""
    return np.zeros(1 << _slot_bits(max_hashes), np.uint64)


@inlined
def slot_of(slots: np.ndarray, bits: int, entry: np.uint64) -> np.uint64:
    """Returns the index of the slot that contains `entry`, which is a set number in the upper 32
    bits and a hash in the lower 32 bits. If no slot contains the entry, returns the index of the
    free slot in which to store the entry. The table has 2^bits slots."""
    last = (_ONE << np.uint64(bits)) - _ONE
    slot = (entry << _32 >> _32) * _SPREAD >> (_64 - np.uint64(bits))
    while slots[slot] != entry and slots[slot] >> _32 == entry >> _32:
        slot = (slot + _ONE) & last
    return slot


@inlined
def put(slots: np.ndarray, bits: int, number: np.uint64, hashed: np.uint32) -> bool:
    """Adds a hash to the set `number` (1 or more). Returns whether the hash is new in this set.

    Many sets use the same table of 2^bits slots one after another. A slot of an earlier set, which
    has a lower number, is free for the present set and may be overwritten.
    """
    entry = number << _32 | np.uint64(hashed)
    slot = slot_of(slots, bits, entry)
    was_there = slots[slot] == entry
    slots[slot] = entry
    return not was_there
