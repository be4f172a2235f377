"""Corpora in memory, and corpus steps run over them."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from typing import NamedTuple

import pyarrow as pa

from curate.engine.inline import Inline
from curate.engine.progress import Progress
from curate.engine.workspace import Workspace
from manifests.step import Corpus, CorpusStep, Executor, Outcome, Part


class MemoryCorpus(NamedTuple):
    """A corpus of tables in memory, one for each part."""

    tables: tuple[pa.Table, ...]

    @property
    def parts(self) -> tuple[Part, ...]:
        return tuple(Part(n, f"part-{n:03d}", t.num_rows) for n, t in enumerate(self.tables))

    def read(self, part: Part, columns: tuple[str, ...] | None = None) -> pa.Table:
        table = self.tables[part.number]
        return table if columns is None else table.select(list(columns))


@contextlib.contextmanager
def temporary_workspace(executor: Executor | None = None) -> Iterator[Workspace]:
    with tempfile.TemporaryDirectory() as folder:
        yield Workspace(folder, "token", folder, executor or Inline(), Progress(quiet=True), "test")


def decide(step: CorpusStep, corpus: Corpus) -> list[tuple[Part, Outcome]]:
    """The outcome of a corpus step for every part; columns have the declared names and types."""
    with temporary_workspace() as workspace:
        found = list(step.decide(corpus, workspace, 0))
    assert sorted(part.number for part, _ in found) == list(range(len(corpus.parts)))
    for part, outcome in found:
        assert set(outcome.columns) == {*step.measures, *step.rewrites}
        for name, kind in step.measures.items():
            assert pa.chunked_array([outcome.columns[name]]).type == kind
            assert len(outcome.columns[name]) == part.rows
    return found
