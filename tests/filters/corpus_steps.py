"""Corpora in memory, and corpus steps run over them."""

from __future__ import annotations

import contextlib
import pickle
import tempfile
from collections.abc import Iterator
from typing import NamedTuple

import pyarrow as pa

from curate.engine.inline import Inline
from curate.engine.planned import PlannedStep
from curate.engine.progress import Progress
from curate.engine.workspace import Workspace
from manifests.step import CorpusStep, Executor, Outcome, Part
from tests.filters.rows import NAME, step_context


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


def decide(step: CorpusStep, corpus: MemoryCorpus, seed: int = 0) -> list[tuple[Part, Outcome]]:
    """The outcome of a corpus step for every part, checked as the engine checks it.

    The step is given the columns that it reads and no others.
    """
    planned = PlannedStep(NAME, step)
    seen = MemoryCorpus(tuple(planned.given(table) for table in corpus.tables))
    found = []
    with temporary_workspace() as workspace, step_context(step, seed=seed) as context:
        fit = pickle.loads(pickle.dumps(step.fit(seen, workspace, seed)))
        for part in seen.parts:
            outcome = step.apply(seen.read(part), fit, context._replace(part=part))
            planned.columns(outcome.columns, part.rows)
            planned.reasons(outcome.drop, part.rows)
            found.append((part, outcome))
    return found
