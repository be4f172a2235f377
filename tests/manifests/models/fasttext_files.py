"""Small fastText models with random weights, in the file format of fastText."""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np

WORDS = ("the", "</s>", "cat", "dog", "hôtel", "猫", "__lab", "x", "sat", "<", ">")
LABELS = ("__label__en", "__label__de", "__label__猫", "plain")
CENTROIDS = 256


class Made(NamedTuple):
    """A model to make. `kept`: the number of n-grams left after pruning; None: not pruned."""

    loss: int = 3
    characters: tuple[int, int] = (0, 0)
    word_ngrams: int = 1
    buckets: int = 97
    quantised: bool = False
    norms: bool = False
    quantised_output: bool = False
    kept: int | None = None
    words: tuple[str, ...] = WORDS
    labels: tuple[str, ...] = LABELS
    kind: int = 3
    version: int = 12
    dimensions: int = 7
    seed: int = 1


def model_bytes(made: Made) -> bytes:
    draw = np.random.default_rng(made.seed)
    rows = len(made.words) + (made.buckets if made.kept is None else made.kept)
    output_quantised = made.quantised and made.quantised_output
    return b"".join(
        [
            struct.pack("<ii", 793712314, made.version),
            _arguments(made),
            _dictionary(made, draw),
            struct.pack("<?", made.quantised),
            _matrix(draw, rows, made.dimensions, made.quantised, made.norms),
            struct.pack("<?", made.quantised_output),
            _matrix(draw, len(made.labels), made.dimensions, output_quantised, made.norms),
        ]
    )


def _arguments(made: Made) -> bytes:
    window, epochs, min_count, negatives, update_rate, sampling = 5, 5, 1, 5, 100, 1e-4
    return struct.pack(
        "<12id", made.dimensions, window, epochs, min_count, negatives, made.word_ngrams,
        made.loss, made.kind, made.buckets, *made.characters, update_rate, sampling,
    )  # fmt: skip


def _dictionary(made: Made, draw: np.random.Generator) -> bytes:
    entries = [(word, 0) for word in made.words] + [(label, 1) for label in made.labels]
    kept = -1 if made.kept is None else made.kept
    head = struct.pack("<iiiqq", len(entries), len(made.words), len(made.labels), 1000, kept)
    counts = sorted(draw.integers(1, 50, len(entries)).tolist(), reverse=True)
    listed = [
        word.encode() + b"\0" + struct.pack("<qb", count, kind)
        for (word, kind), count in zip(entries, counts, strict=True)
    ]
    hashes = draw.permutation(made.buckets)[: max(kept, 0)]
    pairs = np.stack([hashes, draw.permutation(len(hashes))], axis=1).astype("<i4")
    return head + b"".join(listed) + pairs.tobytes()


def _matrix(
    draw: np.random.Generator, rows: int, columns: int, quantised: bool, norms: bool
) -> bytes:
    if not quantised:
        values = draw.normal(0, 2, (rows, columns)).astype("<f4")
        return struct.pack("<qq", rows, columns) + values.tobytes()
    parts, width = -(-columns // 2), 2
    codes = draw.integers(0, CENTROIDS, (rows, parts), np.uint8)
    made = struct.pack("<?qqi", norms, rows, columns, codes.size) + codes.tobytes()
    made += _centroids(draw, columns, parts, width)
    if norms:
        made += draw.integers(0, CENTROIDS, rows, np.uint8).tobytes() + _centroids(draw, 1, 1, 1)
    return made


def _centroids(draw: np.random.Generator, columns: int, parts: int, width: int) -> bytes:
    last = columns - (parts - 1) * width
    values = draw.normal(0, 2, CENTROIDS * columns).astype("<f4")
    return struct.pack("<4i", columns, parts, width, last) + values.tobytes()
