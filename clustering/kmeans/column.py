"""The column of embeddings of a corpus: its unit vectors, the random keys of its records, their
labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import xxhash

from manifests import record
from manifests.errors import StepError
from manifests.step import Corpus, Part, TaskResult, Workspace
from manifests.vectors.units import dimensions_of, present_units


class Keyed(NamedTuple):
    """The usable vectors of a part. `rows` (n,) int64: the numbers of their rows in the part.
    `vectors` (n, width) float32, of unit length. `keys` (n,) uint64: the random keys of their
    records. `labels` (n,) uint64: hashes of their labels, null without a label."""

    rows: np.ndarray
    vectors: np.ndarray
    keys: np.ndarray
    labels: pa.Array


class Source(Protocol):
    """Where a task reads the vectors of a part."""

    def read_part(self, part: Part) -> Keyed: ...


class Column(NamedTuple):
    """The column of embeddings of a corpus, the seed of the records' random keys, and the column of
    labels."""

    corpus: Corpus
    name: str
    seed: int
    labels: str | None = None

    def read_part(self, part: Part) -> Keyed:
        names = ("id", self.name) if self.labels is None else ("id", self.name, self.labels)
        table = self.corpus.read(part, names)
        width = dimensions_of(table[self.name], "of")
        rows, vectors = np.zeros(0, np.int64), np.zeros((0, width or 0), np.float32)
        if width:
            rows, units = present_units(table[self.name], width)
            vectors = units.vectors
        keys = record.random_keys(table["id"], self.seed)[rows]
        labels = pa.nulls(len(rows), pa.uint64())
        if self.labels is not None:
            labels = _label_hashes(table[self.labels], self.labels).take(pa.array(rows))
        return Keyed(rows, vectors, keys, labels)


def _label_hashes(column: pa.ChunkedArray, name: str) -> pa.Array:
    """Returns a hash (uint64) of each label; null without a label."""
    if pa.types.is_nested(column.type):
        raise StepError(
            f"the labels are of type {column.type}", f"column '{name}'",
            "Name a column with one text or number for each record.",
        )  # fmt: skip
    coded = record.one_chunk(column).cast(pa.string()).dictionary_encode()
    texts = coded.dictionary.to_pylist()  # a loop over different labels, not over rows
    hashes = pa.array([xxhash.xxh3_64_intdigest(text.encode()) for text in texts], pa.uint64())
    return hashes.take(coded.indices)


class Counted(NamedTuple):
    """How many records have a usable vector, the width of the vectors (0 if there are none), how
    many records have no vector, and how many records have a vector that is all zeros or not
    finite."""

    usable: int
    width: int
    missing: int
    unusable: int


@dataclass(frozen=True)
class CountVectors:
    """A task: counts the usable vectors of a part."""

    column: Column

    def __call__(self, part: Part, folder: str) -> TaskResult:
        column = self.column.corpus.read(part, (self.column.name,))[self.column.name]
        width = dimensions_of(column, "of")
        present = len(column) - column.null_count
        usable = len(present_units(column, width).rows) if width else 0
        return TaskResult([], {"usable": usable, "width": width or 0, "present": present})


def count_vectors(column: Column, space: Workspace) -> Counted:
    """Counts the vectors of the corpus. Raises StepError if parts have vectors of different
    widths."""
    corpus_parts = column.corpus.parts
    _, commits = space.phase("vectors", CountVectors(column), corpus_parts)
    details = [commit.detail for commit in commits]
    widths = sorted({detail["width"] for detail in details} - {0})
    if len(widths) > 1:
        raise StepError(
            f"the vectors have different numbers of values: {' and '.join(map(str, widths))}",
            "the setting 'of'", "Embed all records with the same model.",
        )  # fmt: skip
    usable, present = (sum(detail[name] for detail in details) for name in ("usable", "present"))
    missing = sum(part.rows for part in corpus_parts) - present
    return Counted(usable, max(widths, default=0), missing, present - usable)
