"""fastText classifiers (.bin and .ftz files), read into arrays.

The format is that of fastText's `saveModel`, versions 11 and 12: arguments, dictionary, input
matrix, output matrix. Either matrix is dense, or product-quantised by `fasttext quantize`. Every
supervised model can be read: with any loss, and with or without n-grams of words and characters.
"""

from __future__ import annotations

import mmap
import struct
from typing import NamedTuple

import numpy as np

from manifests.errors import InputError
from manifests.models.label_tree import label_tree
from manifests.models.word_table import WordTable, read_only, word_table

_MAGIC = 793712314
_OLD, _CURRENT = 11, 12
_CBOW, _SKIPGRAM, _SUPERVISED = 1, 2, 3
TREE, NEGATIVE_SAMPLING, SOFTMAX, ONE_VS_ALL = 1, 2, 3, 4
"""The numbers of fastText's loss functions in a model file. TREE is hierarchical softmax; the other
losses have no label tree."""

_END_OF_LINE = b"</s>"
_LABEL = "__label__"
_CENTROIDS = 256
_WORD, _LABEL_KIND = 0, 1
_MAX_COUNT = 10**15
_MAX_BUCKETS = 10**8
"""The largest number of buckets, into which n-grams are hashed, that a file may declare (our
choice: 400 MB). fastText's default is 2 million."""


class Ngrams(NamedTuple):
    """The n-grams that a model uses in addition to words, and their rows in the input matrix.
    `max_words` is the number of words in the longest n-gram of words; the other two limits are for
    n-grams of the characters of a word."""

    rows: np.ndarray
    """int32: the row of each n-gram in the input matrix; -1 if the n-gram was pruned. The index is
    the hash of the n-gram modulo the length of this array."""
    min_characters: int
    max_characters: int
    """The numbers of characters in the shortest and in the longest n-gram of a word. If the maximum
    is 0, the model has no n-grams of characters."""
    max_words: int
    """The number of words in the longest n-gram of words. If it is 1, the model has no n-grams of
    words."""


class Weights(NamedTuple):
    """The arrays and numbers of a fastText classifier, in the form that compiled loops take; arrays
    are read-only. `inputs` is the input matrix, `outputs` the output matrix. `loss` is the number
    of the loss function, and `children` is the label tree of a hierarchical softmax.

    Words and labels have numbers in the order of the file. `words` has the labels too, after the
    words, so that a label in a text is recognised. `end_of_line` is the number of the word that
    stands for the end of a line.
    """

    words: WordTable
    word_count: int
    end_of_line: int
    """The number of the word `</s>`, which ends every text; -1 if the model has none."""
    ngrams: Ngrams
    inputs: np.ndarray
    """float32 (rows, dimensions): a row for each word, then the n-grams."""
    outputs: np.ndarray
    """float32 (labels, dimensions): a row for each label, or for each inner node of the tree."""
    output_norms: np.ndarray
    """float32 (labels): the product of a text with row i of `outputs` is multiplied by
    output_norms[i]."""
    loss: int
    children: np.ndarray
    """int32 (2 labels - 1, 2): the label tree; see `label_tree`."""


class FastTextModel(NamedTuple):
    """A fastText classifier: the names of its labels, without the prefix `__label__`, and its
    weights."""

    labels: list[str]
    weights: Weights


class _Arguments(NamedTuple):
    """The arguments that a model was trained with, in the order of the file."""

    dimensions: int
    window: int
    epochs: int
    min_count: int
    negatives: int
    word_ngrams: int
    loss: int
    kind: int
    buckets: int
    min_characters: int
    max_characters: int
    update_rate: int
    sampling: float


class _Dictionary(NamedTuple):
    entries: list[bytes]
    counts: list[int]
    words: int
    pruned: np.ndarray | None
    """int32 (kept n-grams, 2): the hash of each n-gram, and its row, counted from the end of the
    words. None if the model is not pruned."""


def read_model(path: str) -> FastTextModel:
    """Reads a .bin or .ftz file. Raises InputError if the file is absent, broken, or not a
    classifier."""
    try:
        with open(path, "rb") as handle:
            file = mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ)
    except ValueError:
        raise InputError("this is not a fastText model: the file is empty", path, _COPY) from None
    except OSError as error:
        raise InputError(f"the model cannot be read: {error.strerror}", path, _COPY) from None
    with file:
        try:
            return _model(file)
        except _BrokenError as error:
            raise InputError(
                f"this is not a fastText classifier: {error.fault}", path, error.fix
            ) from None
        except (struct.error, ValueError) as error:
            fault = f"the fastText model is truncated or broken: {error}"
            raise InputError(fault, path, _COPY) from None


_COPY = "Copy the file again, or name another model."


class _BrokenError(Exception):
    """The file is not a fastText classifier, or its sections do not agree with one another."""

    def __init__(self, fault: str, fix: str = _COPY) -> None:
        super().__init__(fault, fix)
        self.fault, self.fix = fault, fix


def _model(file: mmap.mmap) -> FastTextModel:
    arguments = _arguments(file)
    dictionary = _dictionary(file)
    words, labels = dictionary.words, len(dictionary.entries) - dictionary.words
    quantised = _boolean(file)
    if dictionary.pruned is not None and not quantised:
        raise _BrokenError(
            "the list of n-grams is pruned, but only a quantised model can have a pruned list"
        )
    inputs, norms = _quantised(file) if quantised else _dense(file)
    inputs = inputs if norms is None else inputs * norms[:, None]
    # As in fastText: the output is quantised only if the input is quantised.
    outputs, norms = _quantised(file) if _boolean(file) and quantised else _dense(file)
    _check(inputs, words + _ngram_count(arguments, dictionary), arguments.dimensions, "input")
    _check(outputs, labels, arguments.dimensions, "output")
    weights = Weights(
        words=word_table(dictionary.entries),
        word_count=words,
        end_of_line=_index(dictionary.entries[:words], _END_OF_LINE),
        ngrams=_ngrams(arguments, dictionary),
        inputs=read_only(inputs),
        outputs=read_only(outputs),
        output_norms=read_only(np.ones(labels, np.float32) if norms is None else norms),
        loss=arguments.loss,
        children=read_only(label_tree(dictionary.counts[words:])),
    )
    return FastTextModel([_label(entry) for entry in dictionary.entries[words:]], weights)


def _arguments(file: mmap.mmap) -> _Arguments:
    magic, version = _numbers(file, "ii")
    if magic != _MAGIC:
        raise _BrokenError(
            "the file does not start with the bytes that every fastText model starts with"
        )
    if version not in (_OLD, _CURRENT):
        raise _BrokenError(
            f"the model's format has version {version}; {_OLD} and {_CURRENT} can be read"
        )
    arguments = _Arguments(*_numbers(file, "12id"))
    if arguments.kind in (_CBOW, _SKIPGRAM):
        raise _BrokenError(
            "the model has word vectors (cbow or skipgram), and no labels",
            "Name a model that was trained with `fasttext supervised`.",
        )
    known = arguments.kind == _SUPERVISED and TREE <= arguments.loss <= ONE_VS_ALL
    if not known or arguments.dimensions < 1 or not 0 <= arguments.buckets <= _MAX_BUCKETS:
        raise _BrokenError(f"one of the training arguments in the header is invalid: {arguments}")
    # Classifiers of the old version have no n-grams of characters, whatever the file declares.
    return arguments if version == _CURRENT else arguments._replace(max_characters=0)


def _dictionary(file: mmap.mmap) -> _Dictionary:
    size, words, labels, _, kept = _numbers(file, "iiiqq")
    if words < 0 or labels < 1 or size != words + labels:
        raise _BrokenError(
            f"the dictionary states {size} entries, {words} words and {labels} labels; the number "
            "of entries must be words plus labels, with at least one label"
        )
    entries, counts, kinds = [], [], []
    for _ in range(size):
        start = file.tell()
        end = file.find(b"\0", start)
        entries.append(file.read(max(end - start, 0)))
        _, count, kind = _numbers(file, "cqb")
        counts.append(count)
        kinds.append(kind)
    if kinds != [_WORD] * words + [_LABEL_KIND] * labels:
        raise _BrokenError(
            "the dictionary is not in the required order: all words, then all labels"
        )
    if not all(0 <= count < _MAX_COUNT for count in counts[words:]):
        raise _BrokenError(
            f"the counts of the labels are from {min(counts[words:])} to {max(counts[words:])}; "
            f"each must be from 0 to {_MAX_COUNT - 1}"
        )
    pruned = _array(file, "<i4", 2 * kept).reshape(kept, 2) if kept >= 0 else None
    return _Dictionary(entries, counts, words, pruned)


def _ngrams(arguments: _Arguments, dictionary: _Dictionary) -> Ngrams:
    lengths = arguments.min_characters, arguments.max_characters, arguments.word_ngrams
    if arguments.buckets == 0 and (arguments.max_characters > 0 or arguments.word_ngrams > 1):
        raise _BrokenError("the training arguments ask for n-grams, but state 0 hash buckets")
    return Ngrams(read_only(_ngram_rows(arguments.buckets, dictionary)), *lengths)


def _ngram_rows(buckets: int, dictionary: _Dictionary) -> np.ndarray:
    first, pruned = dictionary.words, dictionary.pruned
    if pruned is None:
        return np.arange(first, first + buckets, dtype=np.int32)
    return _kept_rows(pruned, buckets, first)


def _kept_rows(pruned: np.ndarray, buckets: int, first: int) -> np.ndarray:
    hashes, rows = pruned.T
    if len(pruned) and not (hashes.min() >= 0 and hashes.max() < buckets):
        raise _BrokenError(f"the list of n-grams has a hash outside 0 to {buckets - 1}")
    if len(pruned) and not (rows.min() >= 0 and rows.max() < len(pruned)):
        raise _BrokenError(f"the list of n-grams has a row number outside 0 to {len(pruned) - 1}")
    table = np.full(buckets, -1, np.int32)
    table[hashes] = first + rows
    return table


def _ngram_count(arguments: _Arguments, dictionary: _Dictionary) -> int:
    return arguments.buckets if dictionary.pruned is None else len(dictionary.pruned)


def _check(matrix: np.ndarray, rows: int, dimensions: int, name: str) -> None:
    if len(matrix) < rows or matrix.shape[1] != dimensions:
        needed = f"at least {rows} rows of {dimensions} values"
        raise _BrokenError(f"the {name} matrix has shape {matrix.shape}, but must have {needed}")


def _dense(file: mmap.mmap) -> tuple[np.ndarray, None]:
    rows, columns = _numbers(file, "qq")
    return _array(file, "<f4", rows * columns).reshape(rows, columns), None


def _quantised(file: mmap.mmap) -> tuple[np.ndarray, np.ndarray | None]:
    """Reads a matrix that `fasttext quantize` compressed. Returns the matrix, and the norms of its
    rows; None instead of the norms if the file has no norms. Each row is divided into pieces of a
    few values. The file has, for each piece, the number of a centroid; a row is the centroids of
    its pieces, one after the other."""
    has_norms, rows, columns, code_count = _numbers(file, "?qqi")
    codes = _array(file, "u1", code_count).reshape(rows, -1)
    parts = _centroids(file)
    if codes.shape[1] != len(parts) or sum(part.shape[1] for part in parts) != columns:
        raise _BrokenError(
            f"a quantised matrix has {codes.shape[1]} codes for a row of {columns} values, but "
            f"{len(parts)} tables of centroids for {sum(part.shape[1] for part in parts)} values"
        )
    matrix = np.concatenate([part[code] for part, code in zip(parts, codes.T, strict=True)], axis=1)
    if not has_norms:
        return matrix, None
    norm_codes = _array(file, "u1", rows)
    (norms,) = _centroids(file)
    return matrix, norms[norm_codes, 0]


def _centroids(file: mmap.mmap) -> list[np.ndarray]:
    """Reads the centroids of a compressed matrix. Each row of the matrix is divided into pieces of
    a few values. Returns, for each piece of a row, its 256 centroids: float32 (256, values in the
    piece)."""
    dimensions, parts, width, last_width = _numbers(file, "4i")
    if parts < 1 or dimensions != (parts - 1) * width + last_width:
        raise _BrokenError(
            f"a matrix row of {dimensions} values cannot be divided into {parts} parts of {width} "
            f"values, the last of {last_width} values"
        )
    widths = [width] * (parts - 1) + [last_width]
    return [_array(file, "<f4", _CENTROIDS * n).reshape(_CENTROIDS, n) for n in widths]


def _index(entries: list[bytes], wanted: bytes) -> int:
    return entries.index(wanted) if wanted in entries else -1


def _label(entry: bytes) -> str:
    return entry.decode("utf-8", "replace").removeprefix(_LABEL)


def _boolean(file: mmap.mmap) -> bool:
    (value,) = _numbers(file, "?")
    return bool(value)


def _numbers(file: mmap.mmap, layout: str) -> tuple[int, ...]:
    found: tuple[int, ...] = struct.unpack("<" + layout, file.read(struct.calcsize("<" + layout)))
    return found


def _array(file: mmap.mmap, kind: str, count: int) -> np.ndarray:
    size = np.dtype(kind).itemsize * count
    if not 0 <= size <= len(file) - file.tell():
        raise ValueError(
            f"only {len(file) - file.tell()} of the {size} bytes of an array are present"
        )
    return np.frombuffer(file.read(size), kind)
