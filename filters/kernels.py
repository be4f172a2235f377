"""What the text steps count, as compiled loops over Arrow's string buffers: no object per row.

A text is what lies between two offsets of a column of UTF-8 bytes. Characters are Unicode code
points, and their classes are those of the running Python (`str.isalnum`, `str.isspace`,
`unicodedata.category`). Importing this file imports numba and loads or compiles the loops, so
steps import it when they are called.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from numba import float64, int32, int64, njit, types, uint8, void

F = TypeVar("F", bound=Callable[..., Any])

SPACE, ALPHANUMERIC, SPECIAL = 1, 2, 4

_CODE_POINTS = 0x110000
_CASED = 0x20000
"""No code point from here on has a lower case (Unicode 14 to 16; a test holds it)."""
_NOT_A_CHARACTER = 0xFFFD
_TABLE_SLOTS = 1 << 21
"""Slots of the largest n-gram table, 24 MB (ours): longer texts are counted in several passes."""
_BASE = np.uint64(0x9E3779B97F4A7C15)
_FNV_BASIS, _FNV_PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_27, _30, _31, _32 = np.uint64(27), np.uint64(30), np.uint64(31), np.uint64(32)
_ONE = np.uint64(1)

_OFFSETS = types.Array(int32, 1, "C", readonly=True)
_BYTES = types.Array(uint8, 1, "C", readonly=True)
_LOWER = types.Array(int32, 1, "C", readonly=True)

_inlined = njit(nogil=True)


def _compiled(signature: Any) -> Callable[[F], F]:
    """Compiled once a machine; once a process where no cache folder can be written."""

    def compile_it(function: F) -> F:
        try:
            return njit(signature, cache=True, nogil=True)(function)  # type: ignore[no-any-return]
        except (RuntimeError, OSError):
            return njit(signature, nogil=True)(function)  # type: ignore[no-any-return]

    return compile_it


def word_counts(texts: pa.Array) -> np.ndarray:
    """`len(text.split())` of every text, int32."""
    counts = np.empty(len(texts), np.int32)
    _count_words(*_buffers(texts), _classes(), counts)
    return counts


def shares(texts: pa.Array, kind: int) -> np.ndarray:
    """The share of each text's characters that are of a class, float64; 0 in an empty text."""
    ratios = np.empty(len(texts), np.float64)
    _measure_shares(*_buffers(texts), _classes(), kind, ratios)
    return ratios


def character_repetition(texts: pa.Array, n: int) -> np.ndarray:
    """Of each text's character n-grams, the share its few most frequent ones have, float64."""
    ratios = np.empty(len(texts), np.float64)
    _measure_character_repetition(*_buffers(texts), n, ratios)
    return ratios


def word_repetition(texts: pa.Array, n: int) -> np.ndarray:
    """Of each text's word n-grams, the share of those that occur more than once, float64."""
    ratios = np.empty(len(texts), np.float64)
    _measure_word_repetition(*_buffers(texts), _classes(), _lower(), n, ratios)
    return ratios


def _buffers(texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """The offsets (rows + 1) and bytes of a string column that may be a slice of another."""
    assert texts.type == pa.string(), texts.type
    _, offsets, data = texts.buffers()
    if not len(texts):
        return np.zeros(1, np.int32), np.empty(0, np.uint8)
    whole = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    return whole, np.frombuffer(data or b"", np.uint8)


@lru_cache(maxsize=1)
def _classes() -> np.ndarray:
    """The classes of every code point, as bits."""
    points = np.arange(_CODE_POINTS, dtype=np.uint32).view("U1")
    marks = np.zeros(_CODE_POINTS, bool)
    for start, stop in ((0, _CASED), (0xE0000, 0xE0200)):  # all that have marks
        marks[start:stop] = [unicodedata.category(chr(p))[0] == "M" for p in range(start, stop)]
    special = ~(np.strings.isalpha(points) | marks)
    bits = SPACE * np.strings.isspace(points) + SPECIAL * special
    return (bits + ALPHANUMERIC * np.strings.isalnum(points)).astype(np.uint8)


@lru_cache(maxsize=1)
def _lower() -> np.ndarray:
    """The lower case of every code point that may have one: the first character of str.lower()."""
    points = np.arange(_CASED, dtype=np.uint32).view("U1")
    lower = np.arange(_CASED, dtype=np.int32)
    for p in np.flatnonzero(np.strings.isupper(points) | np.strings.istitle(points)):
        lower[p] = ord(chr(p).lower()[0])
    return lower


@_inlined
def _next(data, at, end):  # type: ignore[no-untyped-def]
    """The code point at a byte and its size in bytes; reads nothing from `end` on."""
    first = np.int64(data[at])
    if first < 0x80:
        return first, 1
    size = 2 + (first >= 0xE0) + (first >= 0xF0)
    if first < 0xC0 or at + size > end:
        return np.int64(_NOT_A_CHARACTER), 1
    code = first & (0x7F >> size)
    for i in range(1, size):
        code = code << 6 | np.int64(data[at + i]) & 0x3F
    return min(code, _CODE_POINTS - 1), size


@_compiled(void(_OFFSETS, _BYTES, _BYTES, int32[::1]))
def _count_words(offsets, data, classes, counts):  # type: ignore[no-untyped-def]
    for row in range(len(counts)):
        at, end = np.int64(offsets[row]), np.int64(offsets[row + 1])
        words, in_word = 0, False
        while at < end:
            code, size = _next(data, at, end)
            is_space = classes[code] & SPACE != 0
            words += not (in_word or is_space)
            in_word = not is_space
            at += size
        counts[row] = words


@_compiled(void(_OFFSETS, _BYTES, _BYTES, int64, float64[::1]))
def _measure_shares(offsets, data, classes, kind, ratios):  # type: ignore[no-untyped-def]
    for row in range(len(ratios)):
        at, end = np.int64(offsets[row]), np.int64(offsets[row + 1])
        found, length = 0, 0
        while at < end:
            code, size = _next(data, at, end)
            found += classes[code] & kind != 0
            length += 1
            at += size
        ratios[row] = found / max(length, 1)


@_inlined
def _mix(x):  # type: ignore[no-untyped-def]
    """The finaliser of splitmix64: spreads 64 bits over all 64."""
    x = (x ^ (x >> _30)) * _MIX_1
    x = (x ^ (x >> _27)) * _MIX_2
    return x ^ (x >> _31)


@_inlined
def _longest(offsets):  # type: ignore[no-untyped-def]
    longest = 0
    for row in range(len(offsets) - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    return np.int64(longest)


@_inlined
def _slots(grams):  # type: ignore[no-untyped-def]
    """Slots of a table for so many n-grams: a power of two, at most half full."""
    slots = 16
    while slots < 2 * grams and slots < _TABLE_SLOTS:
        slots *= 2
    return slots


@_inlined
def _tally(symbols, length, n, keys, counts, often):  # type: ignore[no-untyped-def]
    """Count the n-grams of `symbols[:length]`: returns how many are distinct, how many of those
    occur more than once, and the highest count; `often[c]` of them occur c times (c > 1).

    An n-gram is known by a 64-bit polynomial hash that rolls along the text. Where the table is
    too small for all, each pass counts the share of the hashes that is its own.
    """
    slots = _slots(length - n + 1)
    last = np.uint64(slots - 1)
    passes = 1 + (length - n) // (slots // 2)
    leaving = _ONE
    for _ in range(n):
        leaving *= _BASE
    distinct, repeated, most = 0, 0, 1
    for turn in range(passes):
        keys[:slots] = 0
        gram = np.uint64(0)
        for i in range(length):
            gram = gram * _BASE + np.uint64(symbols[i])
            if i >= n:
                gram -= np.uint64(symbols[i - n]) * leaving
            if i < n - 1:
                continue
            key = max(_mix(gram), _ONE)
            if passes > 1 and (key >> _32) * np.uint64(passes) >> _32 != np.uint64(turn):
                continue
            slot = key & last
            while keys[slot] != 0 and keys[slot] != key:
                slot = (slot + _ONE) & last
            if keys[slot] == 0:
                keys[slot] = key
                counts[slot] = 1
                distinct += 1
                continue
            count = counts[slot] + 1
            counts[slot] = count
            often[count] += 1
            if count == 2:
                repeated += 1
            else:
                often[count - 1] -= 1
            most = max(most, count)
    return distinct, repeated, most


@_compiled(void(_OFFSETS, _BYTES, int64, float64[::1]))
def _measure_character_repetition(offsets, data, n, ratios):  # type: ignore[no-untyped-def]
    longest = _longest(offsets)
    symbols = np.empty(longest, np.uint32)
    keys, counts = np.empty(_slots(longest), np.uint64), np.empty(_slots(longest), np.int32)
    often = np.zeros(longest + 2, np.int32)
    for row in range(len(ratios)):
        at, end = np.int64(offsets[row]), np.int64(offsets[row + 1])
        length = 0
        while at < end:
            symbols[length], size = _next(data, at, end)
            length += 1
            at += size
        if length < n:
            ratios[row] = 0
            continue
        distinct, repeated, most = _tally(symbols, length, n, keys, counts, often)
        left, top = min(np.int64(np.sqrt(distinct)), repeated), 0
        for count in range(most, 1, -1):
            taken = min(left, np.int64(often[count]))
            top += taken * count
            left -= taken
            often[count] = 0
        ratios[row] = top / (length - n + 1)


@_compiled(void(_OFFSETS, _BYTES, _BYTES, _LOWER, int64, float64[::1]))
def _measure_word_repetition(offsets, data, classes, lower, n, ratios):  # type: ignore[no-untyped-def]
    longest = _longest(offsets) // 2 + 1
    symbols = np.empty(longest, np.uint64)
    keys, counts = np.empty(_slots(longest), np.uint64), np.empty(_slots(longest), np.int32)
    often = np.zeros(longest + 2, np.int32)
    for row in range(len(ratios)):
        at, end = np.int64(offsets[row]), np.int64(offsets[row + 1])
        length, word = 0, _FNV_BASIS
        while at < end:
            code, size = _next(data, at, end)
            at += size
            is_space = classes[code] & SPACE != 0
            if not is_space:
                small = lower[code] if code < _CASED else code
                word = (word ^ np.uint64(small)) * _FNV_PRIME
            if (is_space or at == end) and word != _FNV_BASIS:
                symbols[length] = _mix(word)
                length += 1
                word = _FNV_BASIS
        if length < n:
            ratios[row] = 0
            continue
        distinct, repeated, most = _tally(symbols, length, n, keys, counts, often)
        often[: most + 1] = 0
        grams = length - n + 1
        ratios[row] = (grams - (distinct - repeated)) / grams
