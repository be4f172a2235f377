"""The pass of a corpus step: what the step reads, and its outcomes as one sidecar for each part."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
import pyarrow as pa

from curate.engine import workspace
from curate.engine.outcomes import StepResult, apply_outcome, dropped_schema, expand
from curate.engine.part_files import DROPPED, PART, QUARANTINE, save_commit
from curate.engine.part_view import DROP, ERROR, PartView
from curate.engine.passes.contract import Pass, RunContext, State
from curate.engine.planned import PlannedStep, part_schema
from curate.engine.workspace import Workspace
from manifests import storage
from manifests.errors import StepError
from manifests.run.fingerprint import fingerprint
from manifests.run.ledger import check
from manifests.run.manifest import Commit
from manifests.step import CorpusStep, Outcome, Part
from manifests.storage import parts
from manifests.storage.file_entry import FileEntry


class CorpusTask(NamedTuple):
    """Write the sidecar of one part. `inputs_digest` covers all parts: the step looks at all."""

    view: PartView
    inputs_digest: str

    @property
    def part(self) -> str:
        return self.view.name


@dataclass(frozen=True)
class CorpusPass(Pass[CorpusTask]):
    """Runs one corpus step. `before`: the steps that ran earlier."""

    kind: ClassVar[str] = "corpus"

    step: PlannedStep
    before: list[PlannedStep]
    seed: int

    @property
    def steps(self) -> list[PlannedStep]:
        return [self.step]

    def tasks(self, run: RunContext, state: State) -> list[CorpusTask]:
        digest = fingerprint([[view.name, view.digest] for view in state.parts])
        return [CorpusTask(view, digest) for view in state.parts]

    def unfinished(
        self, tasks: list[CorpusTask], commits: Mapping[str, Commit]
    ) -> list[CorpusTask]:
        """All tasks or none: the step decides about all parts together."""
        return tasks if any(task.part not in commits for task in tasks) else []

    def work(self, run: RunContext, tasks: Iterable[CorpusTask]) -> Iterator[Commit]:
        """Let the step decide about all parts, and write a sidecar for each."""
        waiting = dict(enumerate(tasks))
        if not waiting:
            return
        digest = waiting[0].inputs_digest
        folder = self.folder(run)
        space = Workspace(folder, digest, run.media.base, run.executor, run.progress, self.title)
        views = tuple(task.view for task in waiting.values())
        corpus = CorpusView.of(self.step, views)
        assert isinstance(self.step.step, CorpusStep)
        for part, outcome in self.step.step.decide(corpus, space, self.seed):
            yield self._write(waiting.pop(part.number), outcome, folder)
        if waiting:
            raise StepError(f"gave no outcome for {len(waiting)} parts", f"step {self.step.name}")

    def after(self, run: RunContext, state: State, commits: list[Commit]) -> State:
        folder = self.folder(run)
        workspace.clear(folder)
        pairs = zip(state.parts, commits, strict=True)
        made = (v.with_sidecar(c, storage.join(folder, c.part + PART)) for v, c in pairs)
        return state._replace(parts=tuple(made))

    def _write(self, task: CorpusTask, outcome: Outcome, folder: str) -> Commit:
        view = task.view
        checked, result = self._result(view, outcome)
        check([result.account], f"step {self.step.name}")
        kept = result.kept.num_rows
        commit = Commit(
            part=view.name,
            inputs_digest=task.inputs_digest,
            origin=view.origin,
            rows=kept,
            media_bytes=view.media_bytes * kept // max(1, view.rows),
            text_bytes=view.text_bytes * kept // max(1, view.rows),
            files=[*_write_files(folder, view.name, checked, result), *outcome.files],
            ledger=[result.account],
        )
        save_commit(folder, commit)
        return commit

    def _result(self, view: PartView, outcome: Outcome) -> tuple[Outcome, StepResult]:
        """The outcome for all rows of the part, and the rows after it.

        It reads only the columns that dropped rows keep, and those that the step needs.
        """
        step = self.step
        dropped_as = dropped_schema(part_schema([*self.before, step]))
        made_here = ("step", "reason", *step.measures)
        kept = [name for name in dropped_as.names if name not in made_here]
        columns = dict.fromkeys((*kept, *step.step.rewrites, *(step.only or {})))
        rows = view.read_columns(tuple(columns))
        mask = step.row_mask(rows)
        if mask is None:
            checked = step.checked(outcome, rows.num_rows)
        else:
            checked = expand(step.checked(outcome, int(np.count_nonzero(mask))), mask, rows)
        return checked, apply_outcome(step.name, rows, checked, dropped_as)


def _write_files(
    folder: str, part: str, outcome: Outcome, result: StepResult
) -> Iterator[FileEntry]:
    """The sidecar, then the dropped and the quarantined rows, if any."""
    sidecar = pa.table({**outcome.columns, DROP: outcome.drop, ERROR: outcome.error})
    yield parts.write(storage.join(folder, part + PART), sidecar.schema, [sidecar])
    for ending, table in ((DROPPED, result.dropped), (QUARANTINE, result.quarantined)):
        if table.num_rows:
            yield parts.write(storage.join(folder, part + ending), table.schema, [table])


class CorpusView(NamedTuple):
    """The corpus as one step reads it: the rows that its `only` selects, the columns it declares.

    `rows`: for each part the number of those rows. Picklable: it goes to workers.
    """

    views: tuple[PartView, ...]
    planned: PlannedStep
    rows: tuple[int, ...]

    @classmethod
    def of(cls, planned: PlannedStep, views: tuple[PartView, ...]) -> CorpusView:
        return cls(views, planned, tuple(_selected_rows(planned, view) for view in views))

    @property
    def parts(self) -> tuple[Part, ...]:
        counted = zip(self.views, self.rows, strict=True)
        return tuple(Part(n, view.name, rows) for n, (view, rows) in enumerate(counted))

    def read(self, part: Part, columns: tuple[str, ...] | None = None) -> pa.Table:
        assert isinstance(self.planned.step, CorpusStep)
        wanted = self.planned.step.reads() if columns is None else columns
        names = [self.planned.in_run(name) for name in wanted]
        needed = tuple(dict.fromkeys((*names, *(self.planned.only or {}))))
        table = self.views[part.number].read_columns(needed)
        mask = self.planned.row_mask(table)
        own = table.select(names).rename_columns(list(wanted))
        return own if mask is None else own.filter(pa.array(mask))


def _selected_rows(planned: PlannedStep, view: PartView) -> int:
    if planned.only is None:
        return view.rows
    mask = planned.row_mask(view.read_columns(tuple(planned.only)))
    assert mask is not None
    return int(np.count_nonzero(mask))
