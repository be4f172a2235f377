"""The pass of a corpus step: the step reads the whole corpus, then writes a sidecar for each part
(new columns, and marks for removed rows)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pyarrow as pa

from curate.engine import part_files, workspace
from curate.engine.media_options import MediaOptions
from curate.engine.opened import OpenedSteps, opened
from curate.engine.outcomes import Answer, expand, no_errors
from curate.engine.part_view import PartView
from curate.engine.passes.contract import Pass, RunContext, State
from curate.engine.planned import PlannedStep
from curate.engine.sidecars import write_sidecar
from curate.engine.step_errors import naming
from curate.engine.workspace import Workspace
from manifests import storage
from manifests.errors import StepError
from manifests.run.file_names import PART
from manifests.run.fingerprint import fingerprint
from manifests.run.manifest import Commit
from manifests.step import CorpusStep, Outcome, Part
from manifests.storage.file_entry import FileEntry


class CorpusTask(NamedTuple):
    """A task that applies a corpus step to one part. `number` is the index of the part in `views`,
    a tuple that all tasks share, and `part` is its name.

    `inputs_digest` is the digest of all parts, because the step reads all of them.
    """

    part: str
    number: int
    inputs_digest: str
    views: tuple[PartView, ...]


class ApplyTask(NamedTuple):
    """What a worker needs to apply a corpus step to one part: the file of the part (`view`), the
    part's number, name and number of rows (`part`), and the digest of the whole corpus."""

    view: PartView
    part: Part
    inputs_digest: str


@dataclass(frozen=True)
class CorpusPass(Pass[CorpusTask]):
    """Runs one corpus step. `before` lists the steps that ran earlier."""

    kind: ClassVar[str] = "corpus"
    reads_all: ClassVar[bool] = True

    step: PlannedStep
    before: list[PlannedStep]
    seed: int

    @property
    def steps(self) -> list[PlannedStep]:
        return [self.step]

    def tasks(self, run: RunContext, state: State) -> list[CorpusTask]:
        digest = fingerprint([[view.name, view.digest] for view in state.parts])
        return [CorpusTask(view.name, n, digest, state.parts) for n, view in enumerate(state.parts)]

    def work(self, run: RunContext, tasks: Iterable[CorpusTask]) -> Iterator[Commit]:
        """Let the step read the whole corpus, then let workers apply what the step found to each
        part."""
        tasks = list(tasks)
        if not tasks:
            return
        folder, digest = self.folder(run), tasks[0].inputs_digest
        space = Workspace(folder, digest, run.media.base, run.executor, run.progress, self.title)
        corpus = self._corpus(run, tasks[0].views)
        step = self.step.step
        assert isinstance(step, CorpusStep)
        with naming(self.step, "fit"):
            fit = step.fit(corpus, space, self.step.seed(self.seed))
        work = ApplyFit(run.media, self.step, self.before, self.seed, folder, fit)
        items = [ApplyTask(corpus.views[t.number], corpus.parts[t.number], digest) for t in tasks]
        if self.step.loads:
            made = run.executor.map_opened(work, items, step.resources())
        else:
            made = run.executor.map(work, items)
        for _, commit in made:
            yield commit

    def _corpus(self, run: RunContext, views: tuple[PartView, ...]) -> CorpusView:
        """Return a view of all parts. For each part, the view also has the number of rows that the
        step processes."""
        rows = {view.name: view.rows for view in views}
        if self.step.only is not None:
            counted = run.executor.map(CountSelected(self.step), views)
            rows = {view.name: count for view, count in counted}
        return CorpusView(views, self.step, tuple(rows[view.name] for view in views))

    def after(self, run: RunContext, state: State, commits: list[Commit]) -> State:
        folder = self.folder(run)
        workspace.clear(folder)
        pairs = zip(state.parts, commits, strict=True)
        made = (v.with_sidecar(c, storage.join(folder, c.part + PART)) for v, c in pairs)
        return state._replace(parts=tuple(made))


@dataclass(frozen=True)
class ApplyFit:
    """A function for a worker: applies a corpus step to one part, and writes the result to
    `folder`. `fit` is what the step found in the whole corpus. `before` lists the steps that ran
    earlier."""

    media: MediaOptions
    step: PlannedStep
    before: list[PlannedStep]
    seed: int
    folder: str
    fit: Any

    @contextlib.contextmanager
    def open(self) -> Iterator[Callable[[ApplyTask], Commit]]:
        with opened([self.step], self.media, self.seed) as steps:
            yield partial(self._run, steps)

    def __call__(self, task: ApplyTask) -> Commit:
        with self.open() as run:
            return run(task)

    def _run(self, steps: OpenedSteps, task: ApplyTask) -> Commit:
        planned, view, step = self.step, task.view, self.step.step
        assert isinstance(step, CorpusStep)
        rows = read_selected(planned, view, step.reads())
        with contextlib.ExitStack() as stack:
            media = stack.enter_context(contextlib.closing(self.media.open(step.images())))
            blobs = part_files.open_blobs(stack, self.folder, view.name)
            context = steps.context(planned, media, blobs, task.part)
            with naming(planned, "apply"):
                outcome = step.apply(rows, self.fit, context)
            answer = _checked(planned, outcome, rows.num_rows)
        expanded, passed_over = self._for_all_rows(view, answer.answer)
        return write_sidecar(
            self.folder, planned, self.before, view, expanded, passed_over,
            task.inputs_digest, answer.files, blobs,
        )  # fmt: skip

    def _for_all_rows(self, view: PartView, answer: Answer) -> tuple[Answer, int]:
        """Expand the result of a step to all rows of the part. Also return the number of rows that
        the step's setting `only` does not select."""
        planned = self.step
        if planned.only is None:
            return answer, 0
        names = tuple(dict.fromkeys((*planned.only, *planned.step.rewrites)))
        table = view.read_columns(names)
        mask = planned.row_mask(table)
        assert mask is not None
        return expand(answer, mask, table), int(np.count_nonzero(~mask))


class _Checked(NamedTuple):
    answer: Answer
    files: tuple[FileEntry, ...]


def _checked(planned: PlannedStep, outcome: Outcome, rows: int) -> _Checked:
    if not isinstance(outcome, Outcome):
        kind = type(outcome).__name__
        raise StepError(
            f"the method returned a value of type {kind} instead of Outcome",
            f"step {planned.name}, apply",
        )
    errors = no_errors(rows) if outcome.errors is None else outcome.errors.table
    planned.values(errors, "errors", rows)
    columns = planned.columns(outcome.columns, rows)
    return _Checked(Answer(columns, planned.reasons(outcome.drop, rows), errors), outcome.files)


class CorpusView(NamedTuple):
    """The corpus as one step reads it: only the rows that the step's setting `only` selects, and
    the columns that the step declares.

    `views` are the parts of the corpus; `rows` has the number of selected rows of each part. The
    view can be pickled and sent to workers.
    """

    views: tuple[PartView, ...]
    planned: PlannedStep
    rows: tuple[int, ...]

    @property
    def parts(self) -> tuple[Part, ...]:
        counted = zip(self.views, self.rows, strict=True)
        return tuple(Part(n, view.name, rows) for n, (view, rows) in enumerate(counted))

    def read(self, part: Part, columns: tuple[str, ...] | None = None) -> pa.Table:
        wanted = self.planned.step.reads() if columns is None else columns
        return read_selected(self.planned, self.views[part.number], wanted)


def read_selected(planned: PlannedStep, view: PartView, columns: tuple[str, ...]) -> pa.Table:
    """Read the given columns of a part, but only the rows that the step's setting `only` selects.
    The columns have the names that the step uses, not the names that they have in this run:
    `words.count` even if this run names the column `words-2.count`."""
    names = [planned.in_run(name) for name in columns]
    needed = tuple(dict.fromkeys((*names, *(planned.only or {}))))
    table = view.read_columns(needed)
    mask = planned.row_mask(table)
    own = table.select(names).rename_columns(list(columns))
    return own if mask is None else own.filter(pa.array(mask))


@dataclass(frozen=True)
class CountSelected:
    """A function for a worker: returns how many rows of a part the step processes. The step
    processes the rows that its setting `only` selects; all rows if it has no such setting."""

    planned: PlannedStep

    def __call__(self, view: PartView) -> int:
        mask = self.planned.row_mask(view.read_columns(tuple(self.planned.only or {})))
        return view.rows if mask is None else int(np.count_nonzero(mask))
