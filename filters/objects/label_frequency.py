"""The step `label_frequency`: removes objects whose label is too rare or too frequent in the
corpus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, PositiveInt, model_validator

from filters.objects.rules.emptied_records import Empty, emptied_records
from manifests import storage
from manifests.record.images import reduce_by_record
from manifests.record.objects import Objects, count_objects, edit_objects, flat_objects
from manifests.step import Context, Corpus, CorpusStep, Outcome, Part, Workspace, reasons
from manifests.step.bounds import check_min_max
from manifests.step.grouped import Grouping
from manifests.storage import parts

_SCHEMA = pa.schema([("label", pa.string()), ("count", pa.int64())])
_SUMS = Grouping(_SCHEMA, ("sum",))


class LabelFrequency(CorpusStep):
    """Remove objects whose label is in fewer than `min` or more than `max` records of the corpus.

    The frequency of a label is the number of records in the whole corpus that have it; with `of:
    objects`, it is the number of objects that have it. `rarest` is the lowest frequency among the
    labels of a record, before anything is removed (null without labels); `removed` counts the
    removed objects.

    With `remove: records` single objects are never removed: a record is dropped if it has labels
    and all of them are out of bounds. Objects without a label are neither counted nor removed.
    Labels are compared exactly, so put `labels` before this step.
    """

    rewrites: ClassVar[tuple[str, ...]] = ("objects",)

    of: Literal["records", "objects"] = Field(
        "records", description="count the records, or the objects, that have a label"
    )
    min: PositiveInt | None = Field(
        None, description="lowest frequency of a label in bounds; null: no bound"
    )
    max: PositiveInt | None = Field(
        None, description="highest frequency of a label in bounds; null: no bound"
    )
    remove: Literal["objects", "records"] = Field(
        "objects", description="remove single objects, or drop records with no label in bounds"
    )
    empty: Empty = "drop"

    _check_min_max = model_validator(mode="after")(check_min_max)

    def reads(self) -> tuple[str, ...]:
        return ("objects",)

    def measures(self) -> dict[str, pa.DataType]:
        return {"rarest": pa.int64(), "removed": pa.int32()}

    def fit(self, corpus: Corpus, workspace: Workspace, seed: int) -> str:
        """Counts the labels of all parts, and returns the path of a file with their frequencies."""
        storage.make_folder(workspace.scratch)
        uri = storage.join(workspace.scratch, "labels.arrow")
        count = _CountLabels(corpus, self.of == "records")
        of_parts = workspace.map(count, corpus.parts)
        table = _SUMS.of_many(counts for _, counts in of_parts).sort_by("label")
        parts.write(uri, _SCHEMA, [table], durable=False)
        return uri

    def apply(self, rows: pa.Table, fit: Any, context: Context) -> Outcome:
        objects, records = flat_objects(rows["objects"]), rows.num_rows
        labelled = np.asarray(objects.field("label").is_valid())
        rows_of, codes, labels = _encode_labels(objects)
        frequency = _frequencies(fit, labels)[codes]
        out_of_bounds = np.zeros(len(labelled), bool)
        out_of_bounds[labelled] = self._out_of_bounds(frequency)
        removed = out_of_bounds & (self.remove == "objects")
        columns = {
            "rarest": reduce_by_record(np.minimum, rows_of, frequency, records),
            "removed": count_objects(objects, removed, records),
            "objects": edit_objects(rows["objects"], ~removed),
        }
        if self.remove == "objects":
            drop = emptied_records(columns["objects"], self.empty, columns["removed"])
            return Outcome(columns, drop)
        in_bounds = _has(objects, labelled & ~out_of_bounds, records)
        none_in_bounds = _has(objects, out_of_bounds, records) & ~in_bounds
        return Outcome(columns, reasons(records, (none_in_bounds, "no label in bounds")))

    def _out_of_bounds(self, frequency: np.ndarray) -> np.ndarray:
        outside = np.zeros(len(frequency), bool)
        if self.min is not None:
            outside |= frequency < self.min
        if self.max is not None:
            outside |= frequency > self.max
        return outside


def _has(objects: Objects, chosen: np.ndarray, records: int) -> np.ndarray:
    """Returns a mask (records,) of the records that have at least one of the objects that `chosen`,
    a mask (n,), selects."""
    return np.bincount(objects.rows[chosen], minlength=records) > 0


def _encode_labels(objects: Objects) -> tuple[np.ndarray, np.ndarray, pa.Array]:
    """Returns the record number of each object with a label, the code of each label, and the labels
    in the order of their codes. Labels ["b", null, "a", "b"] give the codes [0, 1, 0] and the
    labels ["b", "a"]."""
    label = objects.field("label")
    has = label.is_valid()
    coded = pc.dictionary_encode(label.filter(has))
    return objects.rows[np.asarray(has)], np.asarray(coded.indices), coded.dictionary


@dataclass(frozen=True)
class _CountLabels:
    """A task: counts the records (or objects) of a part that have each label."""

    corpus: Corpus
    records: bool

    def __call__(self, part: Part) -> pa.Table:
        column = self.corpus.read(part, ("objects",))["objects"]
        rows, codes, labels = _encode_labels(flat_objects(column))
        if self.records:
            codes = np.unique(rows * len(labels) + codes) % max(len(labels), 1)
        counts = np.bincount(codes, minlength=len(labels))
        return pa.table([labels, pa.array(counts, pa.int64())], schema=_SCHEMA)


def _frequencies(uri: str, labels: pa.Array) -> np.ndarray:
    """Reads the frequency of each label from the file of all labels: (labels,) int64.

    The table in the file is scanned, and not converted to a dict, because it may be far longer than
    `labels`.
    """
    table = parts.read_columns(uri)
    table = table.filter(pc.is_in(table["label"], labels))
    indices = pc.index_in(labels, table["label"].combine_chunks())
    return np.asarray(table["count"].combine_chunks().take(indices))
