"""Predicts the labels of texts with a fastText classifier. The results equal those of fastText's
`predict`, bit for bit.

The mean of a text's rows in the input matrix (`fasttext_rows`), multiplied by the output matrix,
gives the probability of each label (Joulin et al. 2016, "Bag of Tricks for Efficient Text
Classification"). Sums are float32 and in fastText's order, because another order would change the
last bits.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pyarrow as pa
from numba import float32, int32, int64, types, uint8, uint64, void

from manifests.kernels.compiling import BYTES, OFFSETS, buffers, compiled, inlined, longest
from manifests.kernels.fasttext_rows import mean_of_rows
from manifests.models.fasttext import SOFTMAX, TREE, FastTextModel, Ngrams, Weights
from manifests.models.word_table import WordTable

_ZERO, _TINY = np.float32(0), 1e-5
_SIGMOID_STEPS, _SIGMOID_MAX = 512, 8

_INT64S = types.Array(int64, 1, "C", readonly=True)
_FLOATS = types.Array(float32, 1, "C", readonly=True)
_MATRIX = types.Array(float32, 2, "C", readonly=True)
_PAIRS = types.Array(int32, 2, "C", readonly=True)
_WORDS = types.NamedTuple((OFFSETS, _INT64S, BYTES), WordTable)
_NGRAMS = types.NamedTuple((OFFSETS, int64, int64, int64), Ngrams)
_WEIGHTS = types.NamedTuple(
    (_WORDS, int64, int64, _NGRAMS, _MATRIX, _MATRIX, _FLOATS, int64, _PAIRS), Weights
)
_MODEL = _WEIGHTS, float32[::1]
_SCRATCH = (uint8[::1], uint64[::1], float32[::1])
_LABELS_AND_SCORES = (int32[::1], float32[::1])


def predict(texts: pa.Array, model: FastTextModel) -> tuple[np.ndarray, np.ndarray]:
    """Returns the number of the most probable label of each text (int32), and the probability of
    this label (float32).

    A newline counts as a space, so a text is one line. The label is -1, and the probability 0, for
    a text without any known word, if the model has no word for the end of a line; and for a text
    for which no label of a label tree has a probability of about 0.00001 or more.

    ["Ein Hund"] -> [7], [0.98], if model.labels[7] is "de"
    """
    labels, scores = np.full(len(texts), -1, np.int32), np.zeros(len(texts), np.float32)
    offsets, data = buffers(texts)
    nodes = len(model.weights.children)
    scratch = *_scratch(offsets, model), np.empty(nodes, np.int32), np.empty(nodes, np.float32)
    _predict(offsets, data, model.weights, _sigmoids(), *scratch, labels, scores)
    return labels, scores


def probabilities(texts: pa.Array, model: FastTextModel) -> np.ndarray:
    """Returns the probability of every label for each text, float32 (texts, labels).

    The probabilities are equal to those of fastText's `predict` with k = -1, which adds 0.00001 to
    each probability and, for a label tree, returns no label with less than about 0.00001. If the
    model has no word for the end of a line, a text without any known word has only zeros.
    """
    scores = np.zeros((len(texts), len(model.labels)), np.float32)
    offsets, data = buffers(texts)
    nodes = np.empty(len(model.weights.children), np.float32)
    _score_labels(
        offsets, data, model.weights, _sigmoids(), *_scratch(offsets, model), nodes, scores
    )
    return scores


def _scratch(offsets: np.ndarray, model: FastTextModel) -> tuple[np.ndarray, ...]:
    """Allocates arrays that are used for one text at a time: for the bytes of a word in angle
    brackets, for a hash of each word, and for the mean of the text's rows in the input matrix."""
    size = longest(offsets)
    return (
        np.empty(size + 2, np.uint8),
        np.empty(size // 2 + 2, np.uint64),
        np.empty(model.weights.inputs.shape[1], np.float32),
    )


@lru_cache(maxsize=1)
def _sigmoids() -> np.ndarray:
    """fastText's table of the logistic function: its values at 513 equally spaced numbers from -8
    to 8, both included."""
    places = np.arange(_SIGMOID_STEPS + 1) * 2 * _SIGMOID_MAX / _SIGMOID_STEPS - _SIGMOID_MAX
    powers = np.exp(-places).astype(np.float32)
    return (1.0 / (1.0 + powers.astype(np.float64))).astype(np.float32)


@inlined
def _log(value: np.float32) -> np.float32:
    """Returns fastText's logarithm of a number: log(value + 0.00001), which is finite for 0."""
    return np.float32(np.log(np.float64(value) + _TINY))


@inlined
def _product(weights: np.ndarray, hidden: np.ndarray, norm: np.float32) -> np.float32:
    dot = _ZERO
    for i in range(len(hidden)):
        dot += weights[i] * hidden[i]
    return dot * norm


@inlined
def _chance_of_right(product: np.float32) -> np.float32:
    """Returns the probability that a text's label is below the right child of a node of the label
    tree, given that it is below the node. `product` is the dot product of two vectors: the mean of
    the text's rows in the input matrix, and the node's row in the output matrix."""
    return np.float32(1.0 / np.float64(np.float32(1) + np.exp(-product)))


@inlined
def _chance_of_left(right: np.float32) -> np.float32:
    return np.float32(1.0 - np.float64(right))


@inlined
def _sigmoid(value: np.float32, table: np.ndarray) -> np.float32:
    if value < -_SIGMOID_MAX:
        return np.float32(0)
    if value > _SIGMOID_MAX:
        return np.float32(1)
    steps = (value + np.float32(_SIGMOID_MAX)) * np.float32(_SIGMOID_STEPS)
    return np.float32(table[np.int64(steps / np.float32(_SIGMOID_MAX) / np.float32(2))])


@inlined
def _best_leaf(
    hidden: np.ndarray, model: Weights, open_nodes: np.ndarray, scores: np.ndarray
) -> tuple[int, np.float32]:
    """Returns the number of the most probable leaf of the label tree, and the probability of this
    leaf. Each leaf is a label, with the same number. The search is depth-first, and visits the left
    child before the right child. As in fastText, it leaves out nodes with a probability below about
    0.00001; the result is -1 and 0 if no leaf remains.

    `hidden`: the mean of the text's rows in the input matrix. `open_nodes` and `scores`: memory for
    the nodes that are still to be visited, and for the logarithms of their probabilities.
    """
    outputs, norms, children = model.outputs, model.output_norms, model.children
    lowest = _log(_ZERO)
    best, best_score = -1, np.float32(-np.inf)
    open_nodes[0], scores[0], waiting = len(children) - 1, _ZERO, 1
    while waiting > 0:
        waiting -= 1
        node, score = open_nodes[waiting], scores[waiting]
        if score < lowest or score < best_score:
            continue
        if children[node, 0] < 0:
            best, best_score = node, score
            continue
        inner = node - len(outputs)
        right = _chance_of_right(_product(outputs[inner], hidden, norms[inner]))
        for side, chance in ((1, right), (0, _chance_of_left(right))):
            open_nodes[waiting] = children[node, side]
            scores[waiting] = score + _log(chance)
            waiting += 1
    return best, np.exp(best_score)


@inlined
def _score_leaves(hidden: np.ndarray, model: Weights, nodes: np.ndarray) -> None:
    """Writes into `nodes` the logarithm of the probability of each node of the label tree. The
    first nodes are the leaves, which are the labels. `hidden`: the mean of the text's rows in the
    input matrix."""
    nodes[len(model.children) - 1] = _ZERO
    for node in range(len(model.children) - 1, len(model.outputs) - 1, -1):
        inner = node - len(model.outputs)
        right = _chance_of_right(_product(model.outputs[inner], hidden, model.output_norms[inner]))
        nodes[model.children[node, 0]] = nodes[node] + _log(_chance_of_left(right))
        nodes[model.children[node, 1]] = nodes[node] + _log(right)


@inlined
def _score_flat(
    hidden: np.ndarray, model: Weights, sigmoids: np.ndarray, scores: np.ndarray
) -> None:
    """Writes into `scores` the logarithm of the probability of each label, for a model without a
    label tree. `hidden`: the mean of the text's rows in the input matrix."""
    labels = len(model.outputs)
    for label in range(labels):
        scores[label] = _product(model.outputs[label], hidden, model.output_norms[label])
    if model.loss == SOFTMAX:
        highest, total = scores[:labels].max(), _ZERO
        for label in range(labels):
            scores[label] = np.float32(np.exp(np.float64(scores[label] - highest)))
            total += scores[label]
        for label in range(labels):
            scores[label] = _log(scores[label] / total)
    else:
        for label in range(labels):
            scores[label] = _log(_sigmoid(scores[label], sigmoids))


@compiled(void(OFFSETS, BYTES, *_MODEL, *_SCRATCH, *_LABELS_AND_SCORES, *_LABELS_AND_SCORES))
def _predict(
    offsets: np.ndarray,
    data: np.ndarray,
    model: Weights,
    sigmoids: np.ndarray,
    word: np.ndarray,
    hashes: np.ndarray,
    hidden: np.ndarray,
    open_nodes: np.ndarray,
    open_scores: np.ndarray,
    labels: np.ndarray,
    scores: np.ndarray,
) -> None:
    for row in range(len(labels)):
        text = data[offsets[row] : offsets[row + 1]]
        if not mean_of_rows(text, model, word, hashes, hidden):
            continue
        if model.loss == TREE:
            labels[row], scores[row] = _best_leaf(hidden, model, open_nodes, open_scores)
            continue
        _score_flat(hidden, model, sigmoids, open_scores)
        best = 0
        for label in range(len(model.outputs)):
            if open_scores[label] >= open_scores[best]:  # if equal, take the last, as in fastText
                best = label
        labels[row], scores[row] = best, np.exp(open_scores[best])


@compiled(void(OFFSETS, BYTES, *_MODEL, *_SCRATCH, float32[::1], float32[:, ::1]))
def _score_labels(
    offsets: np.ndarray,
    data: np.ndarray,
    model: Weights,
    sigmoids: np.ndarray,
    word: np.ndarray,
    hashes: np.ndarray,
    hidden: np.ndarray,
    nodes: np.ndarray,
    scores: np.ndarray,
) -> None:
    for row in range(len(scores)):
        text = data[offsets[row] : offsets[row + 1]]
        if not mean_of_rows(text, model, word, hashes, hidden):
            continue
        if model.loss == TREE:
            _score_leaves(hidden, model, nodes)
        else:
            _score_flat(hidden, model, sigmoids, nodes)
        for label in range(len(model.outputs)):
            scores[row, label] = np.exp(nodes[label])
