"""Collects the category and the prominence of each entity that occurs in a corpus."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from manifests import record
from manifests.step import Corpus, Part, Workspace

_SCHEMA = pa.schema([("id", pa.string()), ("category", pa.string()), ("prominence", pa.float64())])
_MERGE_ROWS = 1 << 16
"""How many rows are collected before they are merged (our choice)."""


def entity_facts(corpus: Corpus, workspace: Workspace, step: str) -> pa.Table:
    """Returns a table (id, category, prominence) with a row for each entity, sorted by id. `step`
    is the name of the step that found the entities. An id that several languages share gets its
    highest prominence and, of its categories, the first in alphabetical order."""
    total, waiting, rows = _SCHEMA.empty_table(), list[pa.Table](), 0
    for _, table in workspace.map(_FactsOfPart(corpus, step), corpus.parts):
        waiting.append(table)
        rows += table.num_rows
        if rows > max(total.num_rows, _MERGE_ROWS):
            total, waiting, rows = _merged([total, *waiting]), [], 0
    return _merged([total, *waiting]).sort_by("id")


@dataclass(frozen=True)
class _FactsOfPart:
    """A task for a worker: collects the category and the prominence of each entity of a part."""

    corpus: Corpus
    step: str

    def __call__(self, part: Part) -> pa.Table:
        rows = self.corpus.read(part)
        names = ("ids", "categories", "prominences")
        lists = [record.one_chunk(rows[f"{self.step}.{name}"]) for name in names]
        flat = [pc.list_flatten(one) for one in lists]
        return _merged([pa.table(flat, schema=_SCHEMA)])


def _merged(tables: Iterable[pa.Table]) -> pa.Table:
    wanted = [("category", "min"), ("prominence", "max")]
    merged = pa.concat_tables(tables).group_by("id").aggregate(wanted)
    return merged.select(["id", "category_min", "prominence_max"]).rename_columns(_SCHEMA.names)
