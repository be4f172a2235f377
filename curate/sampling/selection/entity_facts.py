"""Collects the category and the prominence of each entity that occurs in a corpus."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from manifests import record
from manifests.step import Corpus, Part, Workspace
from manifests.step.grouped import Grouping

_SCHEMA = pa.schema([("id", pa.string()), ("category", pa.string()), ("prominence", pa.float64())])
_FACTS = Grouping(_SCHEMA, ("min", "max"))


def entity_facts(corpus: Corpus, workspace: Workspace, step: str) -> pa.Table:
    """Returns a table (id, category, prominence) with a row for each entity, sorted by id. `step`
    is the name of the step that found the entities. An id that several languages share gets its
    highest prominence and, of its categories, the first in alphabetical order."""
    of_parts = workspace.map(_FactsOfPart(corpus, step), corpus.parts)
    return _FACTS.of_many(table for _, table in of_parts).sort_by("id")


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
        return _FACTS.of([pa.table(flat, schema=_SCHEMA)])
