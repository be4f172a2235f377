"""The second pass of a costly step: it decides from the stored measures which rows are dropped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from curate.engine import time_limit
from curate.engine.media_options import MediaOptions
from curate.engine.outcomes import Answer
from curate.engine.part_task import PartTask
from curate.engine.passes.contract import Pass, RunContext, State
from curate.engine.passes.measure import PASSED_OVER
from curate.engine.planned import PlannedStep
from curate.engine.sidecars import write_sidecar
from curate.engine.steps import decide
from manifests import storage
from manifests.run.file_names import PART
from manifests.run.manifest import Commit
from manifests.step.outcome import ERRORS


@dataclass(frozen=True)
class DecidePass(Pass[PartTask]):
    """Removes the rows that a costly step drops, and the rows on which it failed. `before` lists
    the steps that ran earlier."""

    kind: ClassVar[str] = "decide"

    step: PlannedStep
    before: list[PlannedStep]

    @property
    def steps(self) -> list[PlannedStep]:
        return [self.step]

    def tasks(self, run: RunContext, state: State) -> list[PartTask]:
        return [PartTask(view) for view in state.parts]

    def holds(self, commit: Commit, retry: bool) -> bool:
        return True  # a retry measures rows again, which changes the inputs of this pass

    def work(self, run: RunContext, tasks: Iterable[PartTask]) -> Iterator[Commit]:
        work = DecidePart(run.media, self.step, self.before, self.folder(run))
        return (commit for _, commit in run.executor.map(work, tasks))

    def after(self, run: RunContext, state: State, commits: list[Commit]) -> State:
        folder = self.folder(run)
        pairs = zip(state.parts, commits, strict=True)
        made = (v.with_sidecar(c, storage.join(folder, c.part + PART)) for v, c in pairs)
        return state._replace(parts=tuple(made))


@dataclass(frozen=True)
class DecidePart:
    """A function for a worker: decides which rows of one part a costly step drops."""

    media: MediaOptions
    step: PlannedStep
    before: list[PlannedStep]
    folder: str

    def __call__(self, task: PartTask) -> Commit:
        step, view = self.step, task.view
        columns = (*step.measures, *step.step.rewrites)
        errors = tuple(f".{name}" for name in ERRORS.names)
        table = view.read_columns((*columns, *errors, PASSED_OVER))
        measured = {name: table[name].combine_chunks() for name in columns}
        with time_limit.limiting(self.folder, view.name, view.digest, self.media.max_cpu_seconds):
            drop = decide(step, measured, table.num_rows)
        passed_over = table[PASSED_OVER].combine_chunks()
        # Rows that were passed over have no measures, so they are not dropped.
        drop = pc.if_else(passed_over, pa.scalar(None, pa.string()), drop)
        found = table.select(list(errors)).rename_columns(ERRORS.names)
        answer = Answer({}, drop, found.cast(ERRORS))
        count = int(pc.sum(passed_over).as_py() or 0)
        return write_sidecar(self.folder, step, self.before, view, answer, count)
