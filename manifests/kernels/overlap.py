"""Which of many items a text shares n-grams with, and what share of the item's they are.

Texts are cut into windows of tokens, fewer than an n-gram has, whose 32-bit hashes come from the
shingles. An n-gram is known by all the windows that cover it, two at least, so by 64 bits: among
10^9 texts of 300 tokens, looked up in 10^6 n-grams, 0.02 false matches are to be expected. Items
may have n-grams of several lengths: the windows are the same for all.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numba import float32, int32, int64, types, uint32, uint64, void

from manifests.kernels.compiling import compiled, inlined
from manifests.kernels.mixing import mixed
from manifests.kernels.shingles import WORDS, in_blocks, shingles

NO_ITEM = -1

_ONE, _6, _63 = (np.uint64(bits) for bits in (1, 6, 63))
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_FILTER_BITS_PER_GRAM = 16
"""At least: then one window in 64 to 256 passes the filter though no n-gram starts so (ours)."""
_BLOCK_BYTES = 1 << 20
"""Of texts at once, so that their hashes stay in a core's cache (ours)."""


class Grams(NamedTuple):
    """The n-grams of items, to be looked up by the windows of a text.

    `window`: tokens in a window. `spans`: over how many windows n-grams lie, ascending, each 2 or
    more. `first`: a Bloom filter of the windows that n-grams start with; of a hash its upper and
    its lower bits name one bit each. `keys`: of all n-grams, ascending; those whose upper `bits`
    are i start at `starts[i]`.
    `items[bounds[g] : bounds[g + 1]]`: the items that have n-gram g, ascending. `totals`: how many
    n-grams each item has; 0 where it is too short to be compared.
    """

    window: int
    bits: int
    spans: np.ndarray
    first: np.ndarray
    starts: np.ndarray
    keys: np.ndarray
    bounds: np.ndarray
    items: np.ndarray
    totals: np.ndarray


class Overlap(NamedTuple):
    """Of each text the item it has most of, int32, NO_ITEM where it has nothing of any; and what
    share of the item's n-grams it has, float32. Of items equal in this the first counts."""

    item: np.ndarray
    share: np.ndarray


def grams_of(texts: pa.Array, owners: np.ndarray, items: int, n: int, least: int) -> Grams:
    """The n-grams of items, of which text i belongs to item `owners[i]`, ascending.

    A text of fewer than n tokens is one n-gram, of all of them, if it has `least` (2 to n).
    """
    window = least - 1
    offsets, hashes = shingles(texts, WORDS, window, distinct=False)
    text, at, span = _places(offsets, n - window + 1)
    all_keys = np.empty(len(at), np.uint64)
    _write_keys(hashes, at, span, window, all_keys)
    order = np.argsort(all_keys, kind="stable")  # so that items stay in order within an n-gram
    is_new = _differs(all_keys[order])
    pairs = (np.cumsum(is_new) - 1) * items + owners[text[order]]
    gram, item = np.divmod(pairs[_differs(pairs)], max(items, 1))
    keys = all_keys[order[is_new]]
    return Grams(
        window,
        len(keys).bit_length(),
        np.unique(span),
        _filter(hashes[at]),
        _starts(keys, len(keys).bit_length()),
        keys,
        np.searchsorted(gram, np.arange(len(keys) + 1)).astype(np.int32),
        item.astype(np.int32),
        np.bincount(item, minlength=items).astype(np.int32),
    )


def _places(offsets: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of every n-gram the text, the window it starts with, and over how many it lies: `most`, or
    all that a shorter text has, if there are two."""
    windows = np.diff(offsets)
    spans = np.minimum(windows, most)
    counts = np.where(spans >= 2, windows - spans + 1, 0)
    text = np.repeat(np.arange(len(windows)), counts)
    before = np.repeat(np.cumsum(counts) - counts, counts)
    return text, offsets[text] + np.arange(len(text)) - before, spans[text]


def _differs(values: np.ndarray) -> np.ndarray:
    """Which values differ from the one before."""
    differs = np.ones(len(values), bool)
    differs[1:] = values[1:] != values[:-1]
    return differs


def word_counts(texts: pa.Array) -> np.ndarray:
    """How many words each text has, int64; 1 or more where it says anything."""
    offsets, _ = shingles(texts, WORDS, 1, distinct=False)
    return np.diff(offsets)


def _filter(hashes: np.ndarray) -> np.ndarray:
    """The Bloom filter of hashes."""
    bits = min(max((_FILTER_BITS_PER_GRAM * len(hashes)).bit_length(), 8), 32)
    words = np.zeros(1 << (bits - 6), np.uint64)
    for shift in (32 - bits, 0):
        bit = hashes.astype(np.uint64) >> np.uint64(shift) & np.uint64((1 << bits) - 1)
        np.bitwise_or.at(words, bit >> _6, _ONE << (bit & _63))
    return words


def _starts(keys: np.ndarray, bits: int) -> np.ndarray:
    """Where the keys with each upper bits start: about one key to each."""
    upper = keys >> np.uint64(63 - bits) >> _ONE  # a shift by 64 bits is undefined
    numbers = np.arange((1 << bits) + 1, dtype=np.uint64)
    return np.searchsorted(upper, numbers).astype(np.int32)


def overlaps(texts: pa.Array, grams: Grams) -> Overlap:
    """What each text shares with the items."""
    item, share = np.empty(len(texts), np.int32), np.empty(len(texts), np.float32)
    room = _Room(
        np.empty(0, np.int64),
        np.zeros(len(grams.keys), np.int32),
        np.zeros(len(grams.totals), np.int32),
        np.empty(len(grams.totals), np.int32),
    )
    start = 0
    for _, offsets, hashes in in_blocks(texts, WORDS, grams.window, False, _BLOCK_BYTES):
        if len(room.starts) <= len(hashes):
            room = room._replace(starts=np.empty(len(hashes) + 1, np.int64))
        rows = slice(start, start + len(offsets) - 1)
        _find_items(offsets, hashes, grams, room, start, item[rows], share[rows])
        start = rows.stop
    return Overlap(item, share)


class _Room(NamedTuple):
    """What is known of one text at a time: where n-grams may start; by n-gram the last text that
    had it, counted from 1; by item how many of its n-grams the text has; which items those are."""

    starts: np.ndarray
    last: np.ndarray
    counts: np.ndarray
    met: np.ndarray


@inlined
def _key(hashes: np.ndarray, at: int, span: int, window: int) -> np.uint64:
    """The key of the n-gram that lies over `span` windows: a hash of those that cover it."""
    key, last = np.uint64(span) * _SPREAD, at + span - 1
    for place in range(at, last, window):
        key = mixed(key ^ np.uint64(hashes[place]))
    whole: np.uint64 = mixed(key ^ np.uint64(hashes[last]))
    return whole


@inlined
def _is_set(words: np.ndarray, bit: np.uint64) -> bool:
    return bool(words[bit >> _6] >> (bit & _63) & _ONE)


@inlined
def _may_start(hashes: np.ndarray, at: int, end: int, first: np.ndarray, starts: np.ndarray) -> int:
    """Write the windows that pass the filter; returns how many. There is no branch that is hard
    to predict: every window is written, and the next one over it where it did not pass."""
    bits = 6
    while 1 << (bits - 6) < len(first):
        bits += 1
    unused, count = np.uint32(32 - bits), 0
    for place in range(at, end):
        starts[count] = place
        count += _is_set(first, np.uint64(hashes[place] >> unused))
    passed, lower = 0, np.uint64((1 << bits) - 1)
    for candidate in range(count):
        place = starts[candidate]
        starts[passed] = place
        passed += _is_set(first, np.uint64(hashes[place]) & lower)
    return passed


@inlined
def _find(grams: Grams, key: np.uint64) -> int:
    """The number of the n-gram with a key; -1 where there is none."""
    upper = np.int64(key >> np.uint64(63 - grams.bits) >> _ONE)
    for gram in range(grams.starts[upper], grams.starts[upper + 1]):
        if grams.keys[gram] == key:
            return int(gram)
    return -1


@inlined
def _meet(grams: Grams, room: _Room, gram: int, text: int, met: int) -> int:
    """Count an n-gram for the items that have it, if the text had it not before; returns how many
    items are met."""
    if room.last[gram] == text:
        return met
    room.last[gram] = text
    for item in grams.items[grams.bounds[gram] : grams.bounds[gram + 1]]:
        if room.counts[item] == 0:
            room.met[met] = item
            met += 1
        room.counts[item] += 1
    return met


@inlined
def _most(grams: Grams, room: _Room, met: int) -> tuple[int, int]:
    """Of the items that a text has met the one it has most of, and how much; forgets them all."""
    best, most = NO_ITEM, 0
    for place in range(met):
        item = room.met[place]
        count = int(room.counts[item])
        room.counts[item] = 0
        here = count * (grams.totals[best] if best >= 0 else 1)
        there = most * np.int64(grams.totals[item])
        if best < 0 or here > there or (here == there and item < best):
            best, most = item, count
    return best, most


_GRAMS = types.NamedTuple(
    (
        int64,
        int64,
        int64[::1],
        uint64[::1],
        int32[::1],
        uint64[::1],
        int32[::1],
        int32[::1],
        int32[::1],
    ),
    Grams,
)
_ROOM = types.NamedTuple((int64[::1], int32[::1], int32[::1], int32[::1]), _Room)


@compiled(void(uint32[::1], int64[::1], int64[::1], int64, uint64[::1]))
def _write_keys(
    hashes: np.ndarray, at: np.ndarray, span: np.ndarray, window: int, keys: np.ndarray
) -> None:
    for i in range(len(keys)):
        keys[i] = _key(hashes, at[i], span[i], window)


@compiled(void(int64[::1], uint32[::1], _GRAMS, _ROOM, int64, int32[::1], float32[::1]))
def _find_items(
    offsets: np.ndarray,
    hashes: np.ndarray,
    grams: Grams,
    room: _Room,
    before: int,
    items: np.ndarray,
    shares: np.ndarray,
) -> None:
    """`before`: how many texts `room` has seen."""
    for row in range(len(items)):
        text, met = before + row + 1, 0
        end = offsets[row + 1]
        for candidate in range(_may_start(hashes, offsets[row], end - 1, grams.first, room.starts)):
            at = room.starts[candidate]
            for span in grams.spans:
                if at + span <= end:
                    gram = _find(grams, _key(hashes, at, span, grams.window))
                    met = _meet(grams, room, gram, text, met) if gram >= 0 else met
        items[row], most = _most(grams, room, met)
        shares[row] = most / max(grams.totals[items[row]], 1) if items[row] >= 0 else 0.0
