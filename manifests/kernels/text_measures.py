"""Computes measures of texts: the number of words, how many of the characters are of a class such
as letters, and how many n-grams are repeated.

Characters are Unicode code points.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numba import float64, int32, int64, uint32, uint64, void

from manifests.kernels.compiling import BYTES, OFFSETS, buffers, compiled, inlined, longest
from manifests.kernels.decoding import decode
from manifests.text.code_points import SPACE, class_table, lower_case_table

_TABLE_BITS = 21
"""The largest hash table of n-grams has 2^21 slots, 24 MB (our choice). The n-grams of longer texts
are counted in several passes."""

# Odd 64-bit constants for a rolling polynomial and a multiplicative hash (both from splitmix64);
# and the constants of FNV-1a.
_ONE = np.uint64(1)
_BASE, _SPREAD = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)
_FNV_BASIS, _FNV_PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
_22, _32 = np.uint64(22), np.uint64(32)
_RATIOS = float64[::1]
_TABLES = (uint64[::1], int32[::1], int32[::1])


def word_counts(texts: pa.Array) -> np.ndarray:
    """Returns the number of words of every text, `len(text.split())`, int32: ["a cat", ""] -> [2,
    0]."""
    counts = np.empty(len(texts), np.int32)
    offsets, data = buffers(texts)
    points = np.empty(longest(offsets), np.uint32)
    _count_words(offsets, data, class_table(), points, counts)
    return counts


def shares(texts: pa.Array, kind: int) -> np.ndarray:
    """Returns (texts,) float64: the number of a text's characters that belong to the class `kind`,
    divided by the number of all its characters. `kind` is a constant of `code_points`, such as
    ALPHANUMERIC.

    ["ab1!", ""], ALPHANUMERIC -> [0.75, 0]
    """
    ratios = np.empty(len(texts), np.float64)
    offsets, data = buffers(texts)
    points = np.empty(longest(offsets), np.uint32)
    _measure_shares(offsets, data, class_table(), kind, points, ratios)
    return ratios


def character_repetition(texts: pa.Array, n: int) -> np.ndarray:
    """Returns (texts,) float64: the number of occurrences of frequent character n-grams in a text,
    divided by the number of occurrences of all its character n-grams.

    If a text has d distinct n-grams, its frequent n-grams are the sqrt(d) n-grams with the highest
    counts, without those that occur only once.
    ["aaaa", "abcd"], n = 2 -> [1, 0]
    """
    ratios = np.empty(len(texts), np.float64)
    offsets, data = buffers(texts)
    points = np.empty(longest(offsets), np.uint32)
    _measure_character_repetition(offsets, data, n, points, *_ngram_table(len(points)), ratios)
    return ratios


def word_repetition(texts: pa.Array, n: int) -> np.ndarray:
    """Returns (texts,) float64: the number of occurrences of repeated word n-grams in a text,
    divided by the number of occurrences of all its word n-grams. An n-gram is repeated if it occurs
    more than once in the text.

    ["a cat a cat", "a cat"], n = 2 -> [2 / 3, 0]
    """
    ratios = np.empty(len(texts), np.float64)
    offsets, data = buffers(texts)
    points = np.empty(longest(offsets), np.uint32)
    max_words = len(points) // 2 + 2
    scratch = points, np.empty(max_words, np.uint64), *_ngram_table(max_words)
    _measure_word_repetition(offsets, data, class_table(), lower_case_table(), n, *scratch, ratios)
    return ratios


def _ngram_table(symbols: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns an empty hash table for counting the n-grams of a text of at most `symbols`
    characters or words: the keys, the count of each key, and a histogram of the counts."""
    slots = 1 << min(_TABLE_BITS, max(4, (4 * symbols).bit_length()))
    return np.empty(slots, np.uint64), np.empty(slots, np.int32), np.zeros(symbols + 2, np.int32)


@compiled(void(OFFSETS, BYTES, BYTES, uint32[::1], int32[::1]))
def _count_words(
    offsets: np.ndarray,
    data: np.ndarray,
    classes: np.ndarray,
    points: np.ndarray,
    counts: np.ndarray,
) -> None:
    for row in range(len(counts)):
        length = decode(data[offsets[row] : offsets[row + 1]], points)
        words, before = 0, SPACE
        for point in points[:length]:
            space = classes[point] & SPACE
            words += before & ~space
            before = space
        counts[row] = words


@compiled(void(OFFSETS, BYTES, BYTES, int64, uint32[::1], _RATIOS))
def _measure_shares(
    offsets: np.ndarray,
    data: np.ndarray,
    classes: np.ndarray,
    kind: int,
    points: np.ndarray,
    ratios: np.ndarray,
) -> None:
    for row in range(len(ratios)):
        length = decode(data[offsets[row] : offsets[row + 1]], points)
        found = 0
        for point in points[:length]:
            found += classes[point] & kind != 0
        ratios[row] = found / max(length, 1)


@inlined
def _hash_words(
    points: np.ndarray, classes: np.ndarray, lower: np.ndarray, words: np.ndarray
) -> int:
    """Writes a hash of each word of a text into `words` (FNV-1a of its code points in lower case).
    Returns how many words there are."""
    length, inside, word = 0, 0, _FNV_BASIS
    for point in points:
        space = classes[point] & SPACE
        length += inside & space
        small = lower[point] if point < len(lower) else point
        word = _FNV_BASIS if space else (word ^ np.uint64(small)) * _FNV_PRIME
        words[length] = word  # hash of the word so far; overwritten until the word ends
        inside = space ^ SPACE
    return length + inside


@inlined
def _count_ngrams(
    symbols: np.ndarray, n: int, keys: np.ndarray, counts: np.ndarray, histogram: np.ndarray
) -> tuple[int, int, int]:
    """Counts the n-grams of a text. Returns the number of distinct n-grams, the number of distinct
    n-grams that occur more than once, and the highest count. `histogram[c]` becomes the number of
    distinct n-grams that occur c times, for c >= 2.

    "abab", n = 1 -> 2, 2, 2 with histogram[2] = 2

    An n-gram is identified by a 64-bit polynomial hash, computed from the hash of the n-gram before
    it. If the table is too small for all n-grams, they are counted in several passes, each for a
    part of the hashes. If a malicious text fills the table in one pass, each n-gram that does not
    fit counts as a distinct n-gram that occurs once.
    """
    grams = len(symbols) - n + 1
    bits = 4
    while 1 << bits < 4 * grams and 1 << bits < len(keys):
        bits += 1
    shift, last = np.uint64(64 - bits), np.uint64((1 << bits) - 1)
    passes = np.uint64(1 + (grams - 1) // (1 << bits - 1))
    leaving = _ONE
    for _ in range(n):
        leaving *= _BASE
    distinct, repeated, highest = 0, 0, 1
    for turn in range(passes):
        keys[: 1 << bits] = 0
        free = 3 << bits - 2
        gram = np.uint64(0)
        for i in range(n - 1):
            gram = gram * _BASE + np.uint64(symbols[i])
        left = np.uint64(0)
        for i in range(grams):
            gram = gram * _BASE + (np.uint64(symbols[i + n - 1]) - left * leaving)
            left = np.uint64(symbols[i])
            key = max(gram * _SPREAD, _ONE)
            if passes > 1 and (key << _22 >> _32) * passes >> _32 != turn:
                continue
            slot = key >> shift
            while keys[slot] != 0 and keys[slot] != key:
                slot = (slot + _ONE) & last
            if keys[slot] == 0:
                distinct += 1
                if free > 0:
                    free -= 1
                    keys[slot] = key
                    counts[slot] = 1
                continue
            count = counts[slot] + 1
            counts[slot] = count
            histogram[count] += 1
            if count == 2:
                repeated += 1
            else:
                histogram[count - 1] -= 1
            highest = max(highest, count)
    return distinct, repeated, highest


@compiled(void(OFFSETS, BYTES, int64, uint32[::1], *_TABLES, _RATIOS))
def _measure_character_repetition(
    offsets: np.ndarray,
    data: np.ndarray,
    n: int,
    points: np.ndarray,
    keys: np.ndarray,
    counts: np.ndarray,
    histogram: np.ndarray,
    ratios: np.ndarray,
) -> None:
    for row in range(len(ratios)):
        length = decode(data[offsets[row] : offsets[row + 1]], points)
        if length < n:
            ratios[row] = 0
            continue
        distinct, repeated, highest = _count_ngrams(points[:length], n, keys, counts, histogram)
        remaining, covered = min(np.int64(np.sqrt(distinct)), repeated), 0
        for count in range(highest, 1, -1):
            taken = min(remaining, np.int64(histogram[count]))
            covered += taken * count
            remaining -= taken
            histogram[count] = 0
        ratios[row] = covered / (length - n + 1)


@compiled(void(OFFSETS, BYTES, BYTES, OFFSETS, int64, uint32[::1], uint64[::1], *_TABLES, _RATIOS))
def _measure_word_repetition(
    offsets: np.ndarray,
    data: np.ndarray,
    classes: np.ndarray,
    lower: np.ndarray,
    n: int,
    points: np.ndarray,
    words: np.ndarray,
    keys: np.ndarray,
    counts: np.ndarray,
    histogram: np.ndarray,
    ratios: np.ndarray,
) -> None:
    for row in range(len(ratios)):
        length = decode(data[offsets[row] : offsets[row + 1]], points)
        length = _hash_words(points[:length], classes, lower, words)
        if length < n:
            ratios[row] = 0
            continue
        distinct, repeated, highest = _count_ngrams(words[:length], n, keys, counts, histogram)
        histogram[: highest + 1] = 0
        grams = length - n + 1
        ratios[row] = (grams - (distinct - repeated)) / grams
