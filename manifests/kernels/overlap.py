"""Finds, for each text, the item (such as a question of a benchmark) that the text contains most
completely. The share of an item that a text contains is the number of the item's n-grams that occur
in the text, divided by the number of all n-grams of the item.

A window is a few tokens in a row, fewer than an n-gram has. A window starts at every token, so
neighbouring windows overlap. Each window has a 32-bit hash. An n-gram is identified by a key of 64
bits, which is computed from the hashes of at least two windows that together cover the n-gram. If
10^9 texts of 300 tokens are looked up in 10^6 n-grams, 0.02 false matches are expected. Items may
have n-grams of several lengths; windows have only one length.
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
"""The smallest number of bits of the Bloom filter for each n-gram in the table (our choice). Of the
windows that do not start an n-gram, one in 64 to 256 passes the filter."""
_BLOCK_BYTES = 1 << 20
"""Number of bytes of texts in a block, so that their hashes fit a core's cache (our choice)."""


class Grams(NamedTuple):
    """A table of the n-grams of all items, in which the n-grams of a text are looked up.

    `window`: the number of tokens in a window. The next window starts one token later, so an n-gram
    that spans s windows has `window` + s - 1 tokens. `spans`: the different numbers of windows that
    n-grams span, ascending; each number is at least 2. `first`: a Bloom filter of the windows that
    start an n-gram, with two bits for each window: one from the upper half of its hash, one from
    the lower half. `keys`: the keys of all n-grams, ascending; the keys whose `bits` highest bits
    have the value i begin at `starts[i]`.
    `items[bounds[g] : bounds[g + 1]]`: the items that have n-gram g, ascending. `totals`: how many
    n-grams each item has; 0 for an item too short to be compared.
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
    """For each text, the item of which the text contains the largest share.

    `item` int32: the number of the item; NO_ITEM, with the share 0, if the text shares no n-gram
    with any item. If several items have equal shares, the lowest number is taken. `share` float32:
    how many of the item's n-grams the text contains, divided by the number of all n-grams of the
    item. Example: a text that contains 2 of the 4 n-grams of item 7, and no other known n-gram, has
    item 7 and share 0.5.
    """

    item: np.ndarray
    share: np.ndarray


def grams_of(texts: pa.Array, owners: np.ndarray, items: int, n: int, min_tokens: int) -> Grams:
    """Returns the table of the n-grams of items. Text i belongs to item owners[i]; `owners` is
    ascending, `items` is the number of items.

    If a text has fewer than n tokens, but at least `min_tokens` (2 to n), the whole text is one
    n-gram. A shorter text has no n-grams.
    """
    window = min_tokens - 1
    offsets, hashes = shingles(texts, WORDS, window, distinct=False)
    text, at, span = _places(offsets, n - window + 1)
    all_keys = np.empty(len(at), np.uint64)
    _write_keys(hashes, at, span, window, all_keys)
    order = np.argsort(all_keys, kind="stable")  # the items of an n-gram stay in order
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


def _places(offsets: np.ndarray, max_span: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns three arrays with one number for each n-gram: its text, its first window, and the
    number of windows that the n-gram spans. Text i has the windows offsets[i] to offsets[i + 1] -
    1.

    A window is a fixed number of successive tokens and starts at every token; an n-gram is the
    tokens of `max_span` successive windows. If a text has fewer windows, but at least two, it has
    one n-gram that spans all its windows. A text with fewer than two windows has no n-gram.
    """
    windows = np.diff(offsets)
    spans = np.minimum(windows, max_span)
    counts = np.where(spans >= 2, windows - spans + 1, 0)
    text = np.repeat(np.arange(len(windows)), counts)
    before = np.repeat(np.cumsum(counts) - counts, counts)
    return text, offsets[text] + np.arange(len(text)) - before, spans[text]


def _differs(values: np.ndarray) -> np.ndarray:
    """Returns bool for each value: whether it differs from the value before it; true for the first
    value.

    _differs([4, 4, 7]) -> [True, False, True]
    """
    differs = np.ones(len(values), bool)
    differs[1:] = values[1:] != values[:-1]
    return differs


def word_counts(texts: pa.Array) -> np.ndarray:
    """Returns the number of words of each text, int64; it is 0 only if a text is empty or
    whitespace."""
    offsets, _ = shingles(texts, WORDS, 1, distinct=False)
    return np.diff(offsets)


def _filter(hashes: np.ndarray) -> np.ndarray:
    """Returns a Bloom filter of the hashes as a bit array, (words,) uint64; each hash sets two
    bits."""
    bits = min(max((_FILTER_BITS_PER_GRAM * len(hashes)).bit_length(), 8), 32)
    words = np.zeros(1 << (bits - 6), np.uint64)
    for shift in (32 - bits, 0):
        bit = hashes.astype(np.uint64) >> np.uint64(shift) & np.uint64((1 << bits) - 1)
        np.bitwise_or.at(words, bit >> _6, _ONE << (bit & _63))
    return words


def _starts(keys: np.ndarray, bits: int) -> np.ndarray:
    """Finds where keys begin in the ascending `keys`, for a fast search. Returns (2^bits + 1,)
    int32: for each number i, the index of the first key whose upper `bits` bits are i or more.
    `bits` is chosen so that there are about as many numbers i as keys."""
    upper = keys >> np.uint64(63 - bits) >> _ONE  # a shift by 64 bits is undefined
    numbers = np.arange((1 << bits) + 1, dtype=np.uint64)
    return np.searchsorted(upper, numbers).astype(np.int32)


def overlaps(texts: pa.Array, grams: Grams) -> Overlap:
    """Returns, for each text, the item of which the text contains the largest share, and this
    share: how many of the item's n-grams the text contains, divided by the number of all n-grams of
    the item. Example: a text that contains 2 of the 4 n-grams of item 7, and no n-gram of another
    item, gives item 7 and share 0.5."""
    item, share = np.empty(len(texts), np.int32), np.empty(len(texts), np.float32)
    scratch = _Scratch(
        np.empty(0, np.int64),
        np.zeros(len(grams.keys), np.int32),
        np.zeros(len(grams.totals), np.int32),
        np.empty(len(grams.totals), np.int32),
    )
    start = 0
    for _, offsets, hashes in in_blocks(texts, WORDS, grams.window, False, _BLOCK_BYTES):
        if len(scratch.starts) <= len(hashes):
            scratch = scratch._replace(starts=np.empty(len(hashes) + 1, np.int64))
        rows = slice(start, start + len(offsets) - 1)
        _find_items(offsets, hashes, grams, scratch, start, item[rows], share[rows])
        start = rows.stop
    return Overlap(item, share)


class _Scratch(NamedTuple):
    """Arrays that are overwritten for each text, so that they are allocated only once.

    `starts`: windows that may start an n-gram. `last`: for each n-gram, the number of the last text
    that contained it (numbers start at 1). `counts`: for each item, how many of its n-grams the
    text contains. `found`: the items with a count above 0.
    """

    starts: np.ndarray
    last: np.ndarray
    counts: np.ndarray
    found: np.ndarray


@inlined
def _key(hashes: np.ndarray, at: int, span: int, window: int) -> np.uint64:
    """Returns the key of an n-gram. A window is `window` tokens, and the next window starts one
    token later. The n-gram consists of `span` such windows, from window `at` on. The key is a hash
    of the hashes of some of these windows, which together cover the n-gram: every `window`-th
    window, so that they do not overlap, and the last window."""
    key, last = np.uint64(span) * _SPREAD, at + span - 1
    for place in range(at, last, window):
        key = mixed(key ^ np.uint64(hashes[place]))
    complete: np.uint64 = mixed(key ^ np.uint64(hashes[last]))
    return complete


@inlined
def _is_set(words: np.ndarray, bit: np.uint64) -> bool:
    return bool(words[bit >> _6] >> (bit & _63) & _ONE)


@inlined
def _may_start(hashes: np.ndarray, at: int, end: int, first: np.ndarray, starts: np.ndarray) -> int:
    """Finds the windows among `at` to `end` - 1 that may start an n-gram: both bits of their hash
    are set in the Bloom filter `first`. Writes these windows into `starts`, and returns how many
    there are.

    Every window is written. If it fails the test, the next window overwrites it. So there is no
    branch that the processor could predict wrongly.
    """
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
    """Returns the number of the n-gram with this key; -1 if no n-gram of the table has this key."""
    upper = np.int64(key >> np.uint64(63 - grams.bits) >> _ONE)
    for gram in range(grams.starts[upper], grams.starts[upper + 1]):
        if grams.keys[gram] == key:
            return int(gram)
    return -1


@inlined
def _count_gram(grams: Grams, scratch: _Scratch, gram: int, text: int, found: int) -> int:
    """Adds one to the count of every item that has the n-gram `gram`, if this is the n-gram's first
    occurrence in the text. `text` is the number of the text.

    `found`: how many items have a count above 0. Returns the new value of `found`.
    """
    if scratch.last[gram] == text:
        return found
    scratch.last[gram] = text
    for item in grams.items[grams.bounds[gram] : grams.bounds[gram + 1]]:
        if scratch.counts[item] == 0:
            scratch.found[found] = item
            found += 1
        scratch.counts[item] += 1
    return found


@inlined
def _best_item(grams: Grams, scratch: _Scratch, found: int) -> tuple[int, int]:
    """Returns the item of which the text contains the largest share (the item's n-grams that the
    text contains, divided by all n-grams of the item), and how many of the item's n-grams the text
    contains. Also sets all counts to 0 for the next text.

    `found`: how many items have a count above 0.
    """
    best, best_count = NO_ITEM, 0
    for place in range(found):
        item = scratch.found[place]
        count = int(scratch.counts[item])
        scratch.counts[item] = 0
        # count / total > best_count / best_total, without division
        left = count * (grams.totals[best] if best >= 0 else 1)
        right = best_count * np.int64(grams.totals[item])
        if best < 0 or left > right or (left == right and item < best):
            best, best_count = item, count
    return best, best_count


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
_SCRATCH = types.NamedTuple((int64[::1], int32[::1], int32[::1], int32[::1]), _Scratch)


@compiled(void(uint32[::1], int64[::1], int64[::1], int64, uint64[::1]))
def _write_keys(
    hashes: np.ndarray, at: np.ndarray, span: np.ndarray, window: int, keys: np.ndarray
) -> None:
    for i in range(len(keys)):
        keys[i] = _key(hashes, at[i], span[i], window)


@compiled(void(int64[::1], uint32[::1], _GRAMS, _SCRATCH, int64, int32[::1], float32[::1]))
def _find_items(
    offsets: np.ndarray,
    hashes: np.ndarray,
    grams: Grams,
    scratch: _Scratch,
    before: int,
    items: np.ndarray,
    shares: np.ndarray,
) -> None:
    """For each text, finds the item of which the text contains the largest share: how many of the
    item's n-grams the text contains, divided by the number of all n-grams of the item. Writes the
    item into `items` and the share into `shares`. `before`: for how many texts `scratch` has been
    used already."""
    for row in range(len(items)):
        text, found = before + row + 1, 0
        end = offsets[row + 1]
        candidates = _may_start(hashes, offsets[row], end - 1, grams.first, scratch.starts)
        for candidate in range(candidates):
            at = scratch.starts[candidate]
            for span in grams.spans:
                if at + span <= end:
                    gram = _find(grams, _key(hashes, at, span, grams.window))
                    if gram >= 0:
                        found = _count_gram(grams, scratch, gram, text, found)
        items[row], count = _best_item(grams, scratch, found)
        shares[row] = count / max(grams.totals[items[row]], 1) if items[row] >= 0 else 0.0
