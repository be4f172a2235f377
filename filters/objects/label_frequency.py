"""Labels that are too rare or too frequent in the whole corpus."""

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
from manifests.record.objects import Objects, edit_objects, flat_objects
from manifests.step import Corpus, CorpusStep, Outcome, Part, Workspace, reasons
from manifests.step.bounds import check_min_max
from manifests.storage import parts

_SCHEMA = pa.schema([("label", pa.string()), ("count", pa.int64())])
_MERGED_AT_ONCE = 1 << 16
"""Labels of parts that are gathered before they are added up (ours)."""


class LabelFrequency(CorpusStep):
    """Remove objects whose label is in fewer than `min` or more than `max` records.

    How often a label is met is counted over the whole corpus, by records that have it or by
    objects. `rarest` is the frequency of a record's rarest label, before anything is removed;
    `removed` counts the objects that went. With `remove: records` objects stay together: a record
    goes when the labels of all its objects are out of bounds, and no other. Objects without a
    label are neither counted nor removed; labels are compared as they are written, so `labels`
    belongs before this.
    """

    measures: ClassVar[dict[str, pa.DataType]] = {"rarest": pa.int64(), "removed": pa.int32()}
    rewrites: ClassVar[tuple[str, ...]] = ("objects",)

    of: Literal["records", "objects"] = Field("records", description="what is counted")
    min: PositiveInt | None = Field(None, description="fewest that have the label")
    max: PositiveInt | None = Field(None, description="most that have the label")
    remove: Literal["objects", "records"] = Field(
        "objects", description="objects one by one, or records none of whose labels is in bounds"
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
        counted = _Count(corpus, self.of == "records")
        table = _added(part for _, part in workspace.map(counted, corpus.parts))
        parts.write(uri, _SCHEMA, [table], durable=False)
        judge = _Judge(corpus, uri, self.min, self.max)
        for part, judged in workspace.map(judge, corpus.parts):
            yield part, self._outcome(corpus.read(part, ("objects",)), judged)

    def _outcome(self, table: pa.Table, judged: _Judged) -> Outcome:
        column, rows = table["objects"], table.num_rows
        objects = flat_objects(column)
        gone = np.unpackbits(judged.gone, count=len(objects.rows)).astype(bool)
        if self.remove == "records":
            labelled = np.asarray(objects.field("label").is_valid())
            out = _has(objects, gone, rows) & ~_has(objects, ~gone & labelled, rows)
            drop = reasons(rows, (out, "no label in bounds"))
            gone = np.zeros(len(gone), bool)
        else:
            drop = emptied_records(objects, ~gone, rows, self.empty)
        removed = pa.array(np.bincount(objects.rows[gone], minlength=rows).astype(np.int32))
        columns = {
            "rarest": judged.rarest,
            "removed": removed,
            "objects": edit_objects(column, ~gone),
        }
        return Outcome(columns, drop)


def _has(objects: Objects, chosen: np.ndarray, records: int) -> np.ndarray:
    return np.bincount(objects.rows[chosen], minlength=records) > 0


def _coded(objects: Objects) -> tuple[np.ndarray, np.ndarray, pa.Array]:
    """The rows of labelled objects, their labels by number, and the different labels."""
    label = objects.field("label")
    has = label.is_valid()
    coded = pc.dictionary_encode(label.filter(has))
    return objects.rows[np.asarray(has)], np.asarray(coded.indices), coded.dictionary


@dataclass(frozen=True)
class _Count:
    """How many records or objects of a part have each label."""

    corpus: Corpus
    records: bool

    def __call__(self, part: Part) -> pa.Table:
        rows, codes, labels = _coded(flat_objects(self.corpus.read(part, ("objects",))["objects"]))
        if self.records:
            codes = np.unique(rows * len(labels) + codes) % max(len(labels), 1)
        found = np.bincount(codes, minlength=len(labels))
        return pa.table([labels, pa.array(found, pa.int64())], schema=_SCHEMA)


def _added(tables: Iterator[pa.Table]) -> pa.Table:
    """All counts by label, in the order of the labels."""
    total, waiting, many = _SCHEMA.empty_table(), [], 0
    for table in tables:
        waiting.append(table)
        many += table.num_rows
        if many > max(total.num_rows, _MERGED_AT_ONCE):
            total, waiting, many = _merged([total, *waiting]), [], 0
    return _merged([total, *waiting]).sort_by("label")


def _merged(tables: list[pa.Table]) -> pa.Table:
    whole = pa.concat_tables(tables).group_by("label").aggregate([("count", "sum")])
    return whole.select(["label", "count_sum"]).rename_columns(_SCHEMA.names)


class _Judged(NamedTuple):
    """Of a part: each record's `rarest`, and which objects are out of bounds, as packed bits."""

    rarest: pa.Array
    gone: np.ndarray


@dataclass(frozen=True)
class _Judge:
    """Looks up the labels of a part."""

    corpus: Corpus
    uri: str
    min: int | None
    max: int | None

    def __call__(self, part: Part) -> _Judged:
        objects = flat_objects(self.corpus.read(part, ("objects",))["objects"])
        rows, codes, labels = _coded(objects)
        frequency = self._frequencies(labels)[codes]
        out = np.zeros(len(frequency), bool)
        if self.min is not None:
            out |= frequency < self.min
        if self.max is not None:
            out |= frequency > self.max
        gone = np.zeros(len(objects.rows), bool)
        gone[np.asarray(objects.field("label").is_valid())] = out
        return _Judged(reduce_by_record(np.minimum, rows, frequency, part.rows), np.packbits(gone))

    def _frequencies(self, labels: pa.Array) -> np.ndarray:
        """(labels,) int64. The table is scanned, not hashed: it may be far longer than a part's."""
        table = parts.read_columns(self.uri)
        table = table.filter(pc.is_in(table["label"], labels))
        at = pc.index_in(labels, table["label"].combine_chunks())
        return np.asarray(table["count"].combine_chunks().take(at))
