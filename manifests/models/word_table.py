"""A hash table of words for compiled loops."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

_FNV_BASIS, _FNV_PRIME = np.uint32(2166136261), np.uint32(16777619)  # FNV-1a of 32 bits (published)


class WordTable(NamedTuple):
    """Numbered words; word i is bytes[offsets[i] : offsets[i + 1]].

    `slots` is a hash table of word numbers, int32, with a power of two as its length and -1 in free
    slots. A word is in slot `fnv(word) % length`, or if another word has this slot, in the next
    free slot.
    """

    slots: np.ndarray
    offsets: np.ndarray
    bytes: np.ndarray


def word_table(words: list[bytes]) -> WordTable:
    offsets = np.cumsum([0, *map(len, words)], dtype=np.int64)
    data = np.frombuffer(b"".join(words), np.uint8)
    return WordTable(read_only(_slots(fnv(data, offsets))), read_only(offsets), data)


def read_only(array: np.ndarray) -> np.ndarray:
    """Returns the same array, contiguous and read-only, as the compiled loops require."""
    array = np.ascontiguousarray(array)
    array.setflags(write=False)
    return array


def fnv(data: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Returns fastText's hash of each string, uint32: FNV-1a, in which bytes are signed numbers.
    String i is data[offsets[i] : offsets[i + 1]]."""
    sizes = np.diff(offsets)
    hashes = np.full(len(sizes), _FNV_BASIS, np.uint32)
    signed = data.view(np.int8).astype(np.int32).astype(np.uint32)
    for at in range(int(sizes.max(initial=0))):
        longer = np.flatnonzero(sizes > at)
        hashes[longer] = (hashes[longer] ^ signed[offsets[longer] + at]) * _FNV_PRIME
    return hashes


def _slots(hashes: np.ndarray) -> np.ndarray:
    """Returns `WordTable.slots` for words with these hashes. The words are put into the table in
    rounds. In each round every word without a slot tries one slot; if several words try the same
    free slot, one of them gets it, and the others try their next slot in the next round."""
    slots = np.full(1 << (4 * len(hashes)).bit_length(), -1, np.int32)
    last = np.uint32(len(slots) - 1)
    waiting, wanted = np.arange(len(hashes), dtype=np.int32), hashes & last
    while len(waiting):
        free = slots[wanted] < 0
        slots[wanted[free]] = waiting[free]
        left = slots[wanted] != waiting
        waiting, wanted = waiting[left], (wanted[left] + np.uint32(1)) & last
    return slots
