"""The step `label_frequency`: labels that are too rare or too frequent in the corpus."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, PositiveInt, model_validator

from filters.objects.rules.emptied_records import Empty, emptied_records
from manifests import storage
from manifests.record.images import reduce_by_record
from manifests.record.objects import Objects, count_objects, edit_objects, flat_objects
from manifests.step import Corpus, CorpusStep, Outcome, Part, Workspace, reasons
from manifests.step.bounds import check_min_max
from manifests.storage import parts

_SCHEMA = pa.schema([("label", pa.string()), ("count", pa.int64())])
_MERGE_ROWS = 1 << 16
"""Rows of counts that are collected before they are added up (ours)."""


class LabelFrequency(CorpusStep):
    """Remove objects whose label is in fewer than `min` or more than `max` records of the corpus.

    The frequency of a label is the number of records that have it, or of objects with `of:
    objects`, in the whole corpus. `rarest` is the lowest frequency among the labels of a record,
    before anything is removed; `removed` counts the removed objects.

    With `remove: records` single objects are never removed: a record is dropped if the labels of
    all its objects are out of bounds. Objects without a label are neither counted nor removed.
    Labels are compared exactly, so put `labels` before this step.
    """

    measures: ClassVar[dict[str, pa.DataType]] = {"rarest": pa.int64(), "removed": pa.int32()}
    rewrites: ClassVar[tuple[str, ...]] = ("objects",)

    of: Literal["records", "objects"] = Field(
        "records", description="count the records, or the objects, that have a label"
    )
    min: PositiveInt | None = Field(None, description="lowest frequency that stays; null: no bound")
    max: PositiveInt | None = Field(
        None, description="highest frequency that stays; null: no bound"
    )
    remove: Literal["objects", "records"] = Field(
        "objects", description="remove single objects, or drop records with no label in bounds"
    )
    empty: Empty = "drop"

    _check_min_max = model_validator(mode="after")(check_min_max)

    def reads(self) -> tuple[str, ...]:
        return ("objects",)

    def decide(
        self, corpus: Corpus, workspace: Workspace, seed: int
    ) -> Iterator[tuple[Part, Outcome]]:
        storage.make_folder(workspace.scratch)
        uri = storage.join(workspace.scratch, "labels.arrow")
        count = _CountLabels(corpus, self.of == "records")
        table = _add_counts(counts for _, counts in workspace.map(count, corpus.parts))
        parts.write(uri, _SCHEMA, [table], durable=False)
        look_up = _FindOutOfBounds(corpus, uri, self.min, self.max)
        for part, found in workspace.map(look_up, corpus.parts):
            yield part, self._outcome(corpus.read(part, ("objects",)), found)

    def _outcome(self, table: pa.Table, found: _OutOfBounds) -> Outcome:
        column, rows = table["objects"], table.num_rows
        objects = flat_objects(column)
        removed = np.unpackbits(found.objects, count=len(objects.rows)).astype(bool)
        if self.remove == "records":
            labelled = np.asarray(objects.field("label").is_valid())
            dropped = _has(objects, removed, rows) & ~_has(objects, ~removed & labelled, rows)
            drop = reasons(rows, (dropped, "no label in bounds"))
            removed = np.zeros(len(removed), bool)
        else:
            drop = emptied_records(objects, ~removed, rows, self.empty)
        columns = {
            "rarest": found.rarest,
            "removed": count_objects(objects, removed, rows),
            "objects": edit_objects(column, ~removed),
        }
        return Outcome(columns, drop)


def _has(objects: Objects, chosen: np.ndarray, records: int) -> np.ndarray:
    """(records,) bool: records with an object in `chosen`, (n,) bool."""
    return np.bincount(objects.rows[chosen], minlength=records) > 0


def _encode_labels(objects: Objects) -> tuple[np.ndarray, np.ndarray, pa.Array]:
    """For the objects with a label: their rows and the codes of their labels; and the labels by
    code. Labels ["b", null, "a", "b"] have the codes [0, 1, 0], for ["b", "a"]."""
    label = objects.field("label")
    has = label.is_valid()
    coded = pc.dictionary_encode(label.filter(has))
    return objects.rows[np.asarray(has)], np.asarray(coded.indices), coded.dictionary


@dataclass(frozen=True)
class _CountLabels:
    """A task: the number of records (or objects) of a part that have each label."""

    corpus: Corpus
    records: bool

    def __call__(self, part: Part) -> pa.Table:
        column = self.corpus.read(part, ("objects",))["objects"]
        rows, codes, labels = _encode_labels(flat_objects(column))
        if self.records:
            codes = np.unique(rows * len(labels) + codes) % max(len(labels), 1)
        counts = np.bincount(codes, minlength=len(labels))
        return pa.table([labels, pa.array(counts, pa.int64())], schema=_SCHEMA)


def _add_counts(tables: Iterator[pa.Table]) -> pa.Table:
    """The sum of all counts by label, sorted by label."""
    total, waiting, waiting_rows = _SCHEMA.empty_table(), [], 0
    for table in tables:
        waiting.append(table)
        waiting_rows += table.num_rows
        if waiting_rows > max(total.num_rows, _MERGE_ROWS):
            total, waiting, waiting_rows = _sum_by_label([total, *waiting]), [], 0
    return _sum_by_label([total, *waiting]).sort_by("label")


def _sum_by_label(tables: list[pa.Table]) -> pa.Table:
    sums = pa.concat_tables(tables).group_by("label").aggregate([("count", "sum")])
    return sums.select(["label", "count_sum"]).rename_columns(_SCHEMA.names)


class _OutOfBounds(NamedTuple):
    """Frequencies of the labels of one part, compared with the bounds."""

    rarest: pa.Array
    """(records,) the lowest frequency among a record's labels."""
    objects: np.ndarray
    """Objects whose label is out of bounds, as packed bits."""


@dataclass(frozen=True)
class _FindOutOfBounds:
    """A task: looks up the frequencies of a part's labels, and compares them with the bounds."""

    corpus: Corpus
    uri: str
    min: int | None
    max: int | None

    def __call__(self, part: Part) -> _OutOfBounds:
        objects = flat_objects(self.corpus.read(part, ("objects",))["objects"])
        rows, codes, labels = _encode_labels(objects)
        frequency = self._frequencies(labels)[codes]
        outside = np.zeros(len(frequency), bool)
        if self.min is not None:
            outside |= frequency < self.min
        if self.max is not None:
            outside |= frequency > self.max
        removed = np.zeros(len(objects.rows), bool)
        removed[np.asarray(objects.field("label").is_valid())] = outside
        rarest = reduce_by_record(np.minimum, rows, frequency, part.rows)
        return _OutOfBounds(rarest, np.packbits(removed))

    def _frequencies(self, labels: pa.Array) -> np.ndarray:
        """(labels,) int64. The table of all labels is scanned, not put into a dict: it may be far
        longer than that of one part."""
        table = parts.read_columns(self.uri)
        table = table.filter(pc.is_in(table["label"], labels))
        indices = pc.index_in(labels, table["label"].combine_chunks())
        return np.asarray(table["count"].combine_chunks().take(indices))
