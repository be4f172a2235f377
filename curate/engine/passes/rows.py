"""The pass of consecutive row and reshape steps: each part is read once, and all these steps
process it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from curate.engine import part_files, time_limit
from curate.engine.fused import FusedSteps
from curate.engine.media_options import MediaOptions
from curate.engine.opened import OpenedSteps, joint_resources, opened
from curate.engine.part_task import PartTask
from curate.engine.part_view import PartView
from curate.engine.passes.contract import Pass, RunContext, State
from curate.engine.planned import PlannedStep
from manifests import storage
from manifests.run.file_names import PART
from manifests.run.manifest import Commit


@dataclass(frozen=True)
class RowsPass(Pass[PartTask]):
    """Runs consecutive row and reshape steps that need the same resources."""

    kind: ClassVar[str] = "rows"

    fused: FusedSteps
    seed: int

    @property
    def steps(self) -> list[PlannedStep]:
        return self.fused.steps

    @property
    def title(self) -> str:
        return " + ".join(step.name for step in self.steps)

    def tasks(self, run: RunContext, state: State) -> list[PartTask]:
        return [PartTask(view) for view in state.parts]

    def work(self, run: RunContext, tasks: Iterable[PartTask]) -> Iterator[Commit]:
        work = RunSteps(run.media, self.fused, self.seed, self.folder(run))
        if any(planned.loads for planned in self.steps):
            made = run.executor.map_opened(work, tasks, joint_resources(self.steps))
        else:
            made = run.executor.map(work, tasks)
        return (commit for _, commit in made)

    def after(self, run: RunContext, state: State, commits: list[Commit]) -> State:
        folder = self.folder(run)
        made = (PartView.of_commit(c, storage.join(folder, c.part + PART)) for c in commits)
        return state._replace(parts=tuple(made))


@dataclass(frozen=True)
class RunSteps:
    """A function for a worker: runs all steps of the pass on one part."""

    media: MediaOptions
    fused: FusedSteps
    seed: int
    folder: str

    @contextlib.contextmanager
    def open(self) -> Iterator[Callable[[PartTask], Commit]]:
        with opened(self.fused.steps, self.media, self.seed) as steps:
            yield partial(self._run, steps)

    def __call__(self, task: PartTask) -> Commit:
        with self.open() as run:
            return run(task)

    def _run(self, steps: OpenedSteps, task: PartTask) -> Commit:
        view, fused = task.view, self.fused
        with (
            time_limit.limiting(self.folder, view.name, view.digest, self.media.max_cpu_seconds),
            part_files.writing(self.folder, view.name, fused.schema) as files,
        ):
            batches = view.read(fused.batch_rows)
            for kept, results in fused.run(steps, batches, self.media, files.blobs):
                for result in results:
                    files.account(result.account, result.quarantined, result.dropped)
                files.keep(kept)
        names = [planned.name for planned in fused.steps]
        return files.commit(view.digest, view.origin, names)
