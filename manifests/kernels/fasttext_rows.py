"""Computes the mean of a text's rows in the input matrix of a fastText classifier.

A text consists of its words and an end of line. The matrix has a row for each word, for each n-gram
of characters of a word in angle brackets, and for each n-gram of words. Rows are added in float32
and in fastText's order, because another order would change the last bits.
"""

from __future__ import annotations

import numpy as np

from manifests.kernels.compiling import inlined
from manifests.models.fasttext import Ngrams, Weights
from manifests.models.word_table import WordTable

_BASIS, _PRIME, _ONE = np.uint32(2166136261), np.uint32(16777619), np.uint32(1)
_WORDS_BASE = np.uint64(116049371)
"""The base of fastText's polynomial hash of an n-gram of words."""
_LABEL = np.frombuffer(b"__label__", np.uint8)
_END_OF_LINE = np.frombuffer(b"</s>", np.uint8)
_SPACE, _TAB, _RETURN, _OPEN, _CLOSE = b" \t\r<>"


@inlined
def _hashed(value: np.uint32, byte: int) -> np.uint32:
    """Returns the FNV-1a hash of some bytes and one more `byte`, given the hash `value` of the
    bytes before. Each byte is taken as a signed number (-128 to 127), because fastText does so."""
    return np.uint32((value ^ np.uint32(np.int8(byte))) * _PRIME)


@inlined
def _hash_word(word: np.ndarray) -> np.uint32:
    value = _BASIS
    for byte in word:
        value = _hashed(value, byte)
    return value


@inlined
def _same(a: np.ndarray, b: np.ndarray) -> bool:
    if len(a) != len(b):
        return False
    for i in range(len(a)):  # noqa: SIM110 (numba cannot compile `all` of a generator)
        if a[i] != b[i]:
            return False
    return True


@inlined
def _find_word(word: np.ndarray, value: np.uint32, table: WordTable) -> int:
    """Returns the number of a word in the table; -1 if the table does not have the word. `value` is
    the hash of the word."""
    slots, offsets, known = table.slots, table.offsets, table.bytes
    last = np.uint32(len(slots) - 1)
    slot = value & last
    while slots[slot] >= 0:
        number = slots[slot]
        if _same(known[offsets[number] : offsets[number + 1]], word):
            return int(number)
        slot = (slot + _ONE) & last
    return -1


@inlined
def _add(hidden: np.ndarray, row: np.ndarray) -> None:
    for i in range(len(hidden)):
        hidden[i] += row[i]


@inlined
def _add_characters(
    word: np.ndarray, ngrams: Ngrams, inputs: np.ndarray, hidden: np.ndarray
) -> int:
    """Adds to `hidden` the input matrix's rows of the character n-grams of a word. Returns how many
    rows were added. `word` is the word in angle brackets, which fastText adds: `<cat>`.

    A single bracket is not an n-gram.
    """
    rows, shortest, longest = ngrams.rows, ngrams.min_characters, ngrams.max_characters
    added, buckets = 0, np.uint32(len(rows))
    for start in range(len(word)):
        if word[start] & 0xC0 == 0x80:
            continue
        value, end, size = _BASIS, start, 0
        while end < len(word) and size < longest:
            value = _hashed(value, word[end])
            end += 1
            while end < len(word) and word[end] & 0xC0 == 0x80:
                value = _hashed(value, word[end])
                end += 1
            size += 1
            bracket = size == 1 and (start == 0 or end == len(word))
            if size >= shortest and not bracket:
                row = rows[value % buckets]
                if row >= 0:
                    _add(hidden, inputs[row])
                    added += 1
    return added


@inlined
def _add_words(hashes: np.ndarray, ngrams: Ngrams, inputs: np.ndarray, hidden: np.ndarray) -> int:
    """Adds to `hidden` the input matrix's rows of the n-grams of two or more words. Returns how
    many rows were added. `hashes` has a hash of each word of the text."""
    rows = ngrams.rows
    added, buckets = 0, np.uint64(len(rows))
    for start in range(len(hashes)):
        value = hashes[start]
        for end in range(start + 1, min(start + ngrams.max_words, len(hashes))):
            value = value * _WORDS_BASE + hashes[end]
            row = rows[np.int64(value % buckets)]
            if row >= 0:
                _add(hidden, inputs[row])
                added += 1
    return added


@inlined
def mean_of_rows(
    text: np.ndarray, model: Weights, word: np.ndarray, hashes: np.ndarray, hidden: np.ndarray
) -> int:
    """Writes into `hidden` the mean of the text's rows in the input matrix. Returns how many rows
    the text has.

    `word` and `hashes` are memory that is overwritten: for the bytes of a word in angle brackets,
    and for a hash of each word.
    """
    hidden[:] = 0
    inputs, ngrams, table, words = model.inputs, model.ngrams, model.words, model.word_count
    added, size, found = 0, 1, 0
    word[0] = _OPEN
    for at in range(len(text) + 1):
        byte = text[at] if at < len(text) else np.uint8(_SPACE)
        if byte != _SPACE and not (_TAB <= byte <= _RETURN) and byte != 0:
            word[size] = byte
            size += 1
            continue
        bare = word[1:size]
        size = 1
        if len(bare) == 0:
            continue
        if _same(bare, _END_OF_LINE):
            break
        value = _hash_word(bare)
        number = _find_word(bare, value, table)
        if number >= words or (number < 0 and _same(bare[: len(_LABEL)], _LABEL)):
            continue  # a label is not a word
        if number >= 0:
            _add(hidden, inputs[number])
            added += 1
        hashes[found] = np.uint64(np.int64(np.int32(value)))
        found += 1
        word[1 + len(bare)] = _CLOSE
        added += _add_characters(word[: 2 + len(bare)], ngrams, inputs, hidden)
    if model.end_of_line >= 0:
        _add(hidden, inputs[model.end_of_line])
        added += 1
    hashes[found] = np.uint64(np.int64(np.int32(_hash_word(_END_OF_LINE))))
    added += _add_words(hashes[: found + 1], ngrams, inputs, hidden)
    if added > 0:
        hidden *= np.float32(1.0 / added)
    return int(added)
