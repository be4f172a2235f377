"""Finds the tokens of a text, and hashes each token; called by compiled loops.

First the text is copied in lower case. Characters beyond ASCII that separate tokens become spaces.
Then the edges of the tokens are found, 64 bytes at once. Then each token is hashed.
"""

from __future__ import annotations

import numpy as np

from manifests.kernels.compiling import inlined
from manifests.kernels.mixing import mixed
from manifests.kernels.simd import (
    BLOCK,
    count_bits,
    load8,
    lower_block,
    lowest_bit,
    separator_mask,
    store8,
    upper_product,
)
from manifests.text.code_points import COMBINING, SIZE

FIRST = 8
"""The position in the array `text` where the copy of a text starts; a space is before it. There
must be bytes before the first token, because the hash of a short token reads the 8 bytes that end
with the token."""

_SPACE, _SMALL_A, _DIGIT_0, _NOT_ASCII = (np.uint8(x) for x in (*b" a0", 0x80))
_NONE, _ONE, _6, _7 = np.uint64(0), np.uint64(1), np.uint64(6), np.uint64(7)
_29, _35, _63 = (np.uint64(bits) for bits in (29, 35, 63))
_SIZE, _COMBINING, _LAST_POINT = np.uint64(SIZE), np.uint64(COMBINING), np.uint64(0x10FFFF)
_KEYS = 0x2D358DCCAA6C78A5, 0x8BB84B93962EACC9, 0x4B33A62ED433D4A3, 0x4D5A2DA51DE1AA47
_KEY_0, _KEY_1, _KEY_2, _KEY_3 = (np.uint64(key) for key in _KEYS)
"""The default secret of wyhash (Wang Yi, final version 4)."""


@inlined
def write_lower(
    data: np.ndarray, at: int, end: int, encodings: np.ndarray, text: np.ndarray
) -> int:
    """Copies the bytes `at` to `end` - 1 of `data` in lower case into `text`, from position FIRST
    on. Returns the position where the copy ends.

    ASCII is copied in blocks. Every other character is replaced by the bytes that the table
    `encodings` has for it. If the table is for tokens that are words, a combining mark that does
    not follow a letter, mark or number becomes a space. If a block would end after the end of
    `data`, its bytes are first copied one by one, so that no byte after the end is read.
    """
    text[FIRST - 1] = _SPACE
    to = FIRST
    while at < end:
        left = end - at
        if at + BLOCK <= len(data):
            others = lower_block(data, at, text, to)
        else:
            for i in range(min(left, BLOCK)):
                text[to + i] = data[at + i]
            others = lower_block(text, to, text, to)
        if left < BLOCK:
            others &= (_ONE << np.uint64(left)) - _ONE
        if others == 0:
            at += BLOCK
            to += min(left, BLOCK)
            continue
        at += lowest_bit(others)
        to += lowest_bit(others)
        while at < end and data[at] >= _NOT_ASCII:
            point, size = _code_point(data, at, end)
            encoding = encodings[point]
            if encoding >> _COMBINING and not _in_word(text[to - 1]):
                encoding = _ONE << _SIZE | np.uint64(_SPACE)
            store8(text, to, encoding)
            to += np.int64(encoding >> _SIZE & _7)
            at += size
    return to


@inlined
def _code_point(data: np.ndarray, at: int, end: int) -> tuple[np.uint64, int]:
    """Returns the code point beyond ASCII that starts at byte `at`, and its size in bytes. If the
    bytes are not UTF-8, the returned code point is arbitrary."""
    first = np.uint64(data[at])
    size = 2 + int(first >= 0xE0) + int(first >= 0xF0)
    if at + size > end:
        return _NONE, size
    point = first & np.uint64(0x7F >> size)
    for i in range(1, size):
        point = point << _6 | np.uint64(data[at + i] & 0x3F)
    return min(point, _LAST_POINT), size


@inlined
def _in_word(byte: np.uint8) -> bool:
    letter, digit = np.uint8(byte - _SMALL_A) < 26, np.uint8(byte - _DIGIT_0) < 10
    return bool(byte >= _NOT_ASCII or letter or digit)


@inlined
def find_tokens(text: np.ndarray, end: int, by_words: bool, edges: np.ndarray) -> int:
    """Writes into `edges` the positions where each token starts and ends. Returns how many tokens
    there are. If `by_words` is true, a token is a word; otherwise a token is a run of characters
    without whitespace.

    Edges are written eight at a time, to avoid branches that the processor cannot predict. So
    invalid numbers may follow the last edge; they are overwritten when more edges are written.
    """
    found, before = 0, _ONE
    for at in range(FIRST, end, BLOCK):
        separators = separator_mask(text, at, by_words)
        if end - at < BLOCK:
            separators |= ~_NONE << np.uint64(end - at)
        changes = separators ^ (separators << _ONE | before)
        before = separators >> _63
        count = count_bits(changes)
        for written in range(0, count, 8):
            for i in range(8):
                edges[found + written + i] = at + lowest_bit(changes)
                changes &= changes - _ONE
        found += count
    edges[found] = end
    return (found + 1) >> 1


@inlined
def hash_tokens(
    text: np.ndarray, edges: np.ndarray, count: int, hashes: np.ndarray
) -> tuple[np.uint64, np.uint64]:
    """Writes a hash of each of the `count` tokens into `hashes`. Returns a 128-bit hash of all
    tokens in order. Token i has the bytes edges[2 i] to edges[2 i + 1] - 1 of `text`."""
    one, two = _KEY_0, _KEY_1
    for i in range(count):
        start = np.int64(edges[2 * i])
        folded, lower = _hash_token(text, start, np.int64(edges[2 * i + 1]) - start)
        hashes[i] = folded
        one = ((one << _29 | one >> _35) ^ folded) * _KEY_2
        two = ((two << _29 | two >> _35) ^ lower) * _KEY_3
    return mixed(one), mixed(two)


@inlined
def hash_characters(text: np.ndarray, edges: np.ndarray, count: int, hashes: np.ndarray) -> int:
    """Writes into `hashes` a hash of each character of the tokens, with the hash of a space between
    the characters of two tokens. Returns how many hashes there are. `count` is the number of
    tokens."""
    space, _ = _hash_token(text, FIRST - 1, 1)
    written = 0
    for i in range(count):
        if i > 0:
            hashes[written] = space
            written += 1
        at, end = np.int64(edges[2 * i]), np.int64(edges[2 * i + 1])
        while at < end:
            first = text[at]
            size = 1 + int(first >= 0xC0) + int(first >= 0xE0) + int(first >= 0xF0)
            hashes[written], _ = _hash_token(text, at, size)
            written += 1
            at += size
    return written


@inlined
def _hash_token(text: np.ndarray, start: int, size: int) -> tuple[np.uint64, np.uint64]:
    """Returns two hashes of a token, 64 bits each; the bits of the first hash are mixed better.

    The hashes are made from the product of the token's first 8 bytes and its last 8 bytes, computed
    as in wyhash. If a token has fewer than 8 bytes, both factors have all its bytes. If a token has
    more than 16 bytes, the bytes in the middle are multiplied first. There is no other branch,
    because the lengths of words are irregular, and a wrongly predicted branch takes more time than
    the hash.
    """
    unused = np.uint64(64 - 8 * min(size, 8))
    first = load8(text, start) << unused >> unused ^ _KEY_0
    last = load8(text, start + size - 8) >> unused ^ np.uint64(size) * _KEY_1
    if size > 16:
        at = start + 8
        while at < start + size - 8:
            first = upper_product(first, _KEY_2) ^ first * _KEY_2 ^ load8(text, at)
            at += 8
    lower = first * last
    return upper_product(first, last) ^ lower, lower
