"""The first pass of a costly step: it measures the rows of each part, and stores the measures in a
file beside the part (a sidecar).

Settings that only decide which rows are dropped (bounds) are not used in this pass. The measures of
a part are saved every few seconds, before the whole part is measured, so a crash loses only seconds
of work.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.engine import checkpoints, part_files, time_limit
from curate.engine.ahead import Batch, ReadAhead, with_following
from curate.engine.checkpoints import Checkpoints
from curate.engine.commits import unchanged
from curate.engine.fused import joint_batch_rows
from curate.engine.halving import RaisedRows
from curate.engine.media_options import MediaOptions
from curate.engine.opened import OpenedSteps, opened
from curate.engine.outcomes import Answer, expand, failed_rows
from curate.engine.part_task import MeasureTask
from curate.engine.part_view import PartView
from curate.engine.passes.contract import Pass, RunContext, State
from curate.engine.planned import PlannedStep
from curate.engine.steps import measure
from manifests import record, storage
from manifests.errors import SpentError, StepError
from manifests.media import Media
from manifests.run.file_names import BLOBS, PART
from manifests.run.fingerprint import fingerprint
from manifests.run.manifest import Commit
from manifests.run.payer import NOBODY, Payer, payer_of
from manifests.step import Columns, Context, RequestStep
from manifests.step.outcome import ERRORS
from manifests.storage import parts

PASSED_OVER = ".passed_over"
"""The name of a column of the sidecar, which is true for each row that the step's `only` does not
select."""


@dataclass(frozen=True)
class MeasurePass(Pass[MeasureTask]):
    """Runs the first pass of one costly step: it measures every row that the step's `only` selects.
    No row is removed."""

    kind: ClassVar[str] = "measure"

    step: PlannedStep
    seed: int

    @property
    def steps(self) -> list[PlannedStep]:
        return [self.step]

    @property
    def title(self) -> str:
        return f"measure {self.step.name}"

    @property
    def folder_name(self) -> str:
        return f"{self.number:02d}-{self.name}-measures-{self.fingerprint}"

    def tasks(self, run: RunContext, state: State) -> list[MeasureTask]:
        return [MeasureTask(view) for view in state.parts]

    def holds(self, commit: Commit, retry: bool) -> bool:
        return not (retry and commit.detail["later"])

    def work(self, run: RunContext, tasks: Iterable[MeasureTask]) -> Iterator[Commit]:
        folder = self.folder(run)
        digests = self.step.file_digests(run.media.base)
        payer = payer_of(run.out, run.run_id, self.step.name) if run.run_id else NOBODY
        work = MeasurePart(run.media, self.step, self.seed, folder, digests, payer)
        known = [self._with_earlier(run, folder, task) for task in tasks]
        items = with_following(known, work.rows_ahead)
        made = run.executor.map_opened(work, items, self.step.step.resources())
        return (commit for _, commit in made)

    def bill(self, run: RunContext) -> str:
        is_asking = isinstance(self.step.step, RequestStep)
        return payer_of(run.out, run.run_id, self.step.name).bill if is_asking else ""

    def remaining(self, run: RunContext, tasks: Iterable[MeasureTask]) -> int:
        folder = self.folder(run)
        return sum(task.view.rows - checkpoints.saved_rows(folder, task.part) for task in tasks)

    def _with_earlier(self, run: RunContext, folder: str, task: MeasureTask) -> MeasureTask:
        """With `--retry`, add the commit of an earlier measurement to the task, if an intact
        measurement of the same inputs exists. Otherwise, return the task unchanged."""
        commit = part_files.load_commit(folder, task.part) if run.retry else None
        if commit is None or commit.inputs_digest != task.inputs_digest:
            return task
        return replace(task, earlier=commit) if unchanged(folder, commit) else task

    def errors(self, commit: Commit) -> int:
        return int(commit.detail["errors"])

    def failed(self, folder: str, state: State, commits: Iterable[Commit]) -> Iterator[pa.Table]:
        views = {view.name: view for view in state.parts}
        columns = [f".{name}" for name in ERRORS.names]
        for commit in commits:
            if commit.detail["errors"]:
                sidecar = storage.join(folder, commit.part + PART)
                view = views[commit.part].with_measures(commit, sidecar)
                table = view.read_columns(("id", "source", "origin", *columns))
                rows = table.filter(table[".kind"].is_valid())
                errors = rows.select(columns).rename_columns(ERRORS.names)
                yield failed_rows(self.step.name, rows, errors)

    def after(self, run: RunContext, state: State, commits: list[Commit]) -> State:
        folder = self.folder(run)
        checkpoints.clear(folder)
        pairs = zip(state.parts, commits, strict=True)
        made = (v.with_measures(c, storage.join(folder, c.part + PART)) for v, c in pairs)
        return state._replace(parts=tuple(made))


@dataclass(frozen=True)
class MeasurePart:
    """Measures the rows of one part with a step, in a worker. `digests` are the digests of the
    files that the step loads, and `payer` is the run that pays for the step's requests."""

    media: MediaOptions
    step: PlannedStep
    seed: int
    folder: str
    digests: list[str]
    payer: Payer = NOBODY

    @contextlib.contextmanager
    def open(self) -> Iterator[Callable[[MeasureTask], Commit]]:
        with opened([self.step], self.media, self.seed, self.payer) as steps:
            if self.step.file_digests(self.media.base) != self.digests:
                files = ", ".join(self.step.step.files(self.media.base))
                raise StepError(
                    "a file that the step loads was changed after the run had started",
                    f"step {self.step.name}: {files}",
                    "Run the same command again: it measures with the new file.",
                )
            yield partial(self._run, steps, ReadAhead(self._remaining, self.rows_ahead))

    @property
    def rows_ahead(self) -> int:
        """How many rows after a batch are already read, so that their requests can be sent, before
        the batch is measured. The number is 0 for a step that asks no model, and for a step that
        stores bytes, because the step would store the bytes twice."""
        is_asking = isinstance(self.step.step, RequestStep) and not self.step.step.stores_bytes
        return joint_batch_rows([self.step]) if is_asking else 0

    @property
    def schema(self) -> pa.Schema:
        """The columns of the file with the measures of a part: measures, rewritten columns, errors,
        and PASSED_OVER (true for a row that the step does not process)."""
        fields = [pa.field(name, kind) for name, kind in self.step.measures.items()]
        fields += [record.SCHEMA.field(name) for name in self.step.step.rewrites]
        errors = (field.with_name(f".{field.name}") for field in ERRORS)
        return pa.schema([*fields, *errors, pa.field(PASSED_OVER, pa.bool_())])

    def _run(self, steps: OpenedSteps, ahead: ReadAhead, task: MeasureTask) -> Commit:
        view, earlier = task.view, task.earlier
        digest = fingerprint([view.digest, earlier.digest if earlier else ""])
        blobs = _blobs(self.folder, earlier)
        saved = Checkpoints(self.folder, view.name, digest, self.schema, blobs)
        raised = RaisedRows()
        with (
            time_limit.limiting(self.folder, view.name, digest, self.media.max_cpu_seconds),
            contextlib.closing(saved),
            contextlib.closing(self._media()) as media,
        ):
            begin = partial(self._begin, steps.context(self.step, media, saved.blobs))
            for batch in ahead.batches(task, saved.rows, begin):
                time_limit.current().row = batch.row
                context = steps.context(self.step, media, saved.blobs)
                try:
                    saved.add(self._measured(batch, context, raised))
                except SpentError:
                    saved.save()
                    raise
                media.forget()
            # Delete the old commit first, because the files it lists are about to be replaced.
            storage.delete(part_files.commit_uri(self.folder, view.name))
            files = saved.finish(view.rows)
        commit = Commit(
            part=view.name,
            inputs_digest=view.digest,
            origin=view.origin,
            rows=view.rows,
            files=files,
            detail=self._detail(storage.join(self.folder, view.name + PART)),
        )
        part_files.save_commit(self.folder, commit)
        saved.delete()
        return commit

    def _detail(self, sidecar: str) -> dict[str, Any]:
        """Return what the commit states about a sidecar: how many rows have errors and, for a
        request step, how many rows have each status."""
        detail: dict[str, Any] = dict(_error_counts(sidecar))
        status = f"{self.step.name}.status"
        if isinstance(self.step.step, RequestStep) and status in self.schema.names:
            counts = parts.read_columns(sidecar, (status,))[status].drop_null().value_counts()
            detail["statuses"] = {one["values"]: one["counts"] for one in counts.to_pylist()}
        return detail

    def _remaining(self, task: MeasureTask, saved_rows: int) -> Iterator[Batch]:
        """Yield the batches of a part whose measures are not saved in checkpoints yet. `saved_rows`
        is the number of rows that are saved in checkpoints."""
        start, earlier = 0, _Earlier(self.folder, task.earlier)
        for batch in self._batches(task.view):
            known = earlier.next_rows(batch.num_rows)
            skipped = min(max(saved_rows - start, 0), batch.num_rows)
            if skipped < batch.num_rows:
                rest = None if known is None else known.slice(skipped)
                yield Batch(task.part, start + skipped, batch.slice(skipped), rest)
            start += batch.num_rows

    def _begin(self, context: Context, batch: Batch) -> None:
        """Let a request step send the requests of a batch before the batch is measured."""
        step, limit = self.step.without_bounds(), time_limit.current()
        if not (self.rows_ahead and isinstance(step, RequestStep)):
            return
        rows = batch.rows.filter(pa.array(self._masks(batch)[0]))
        if rows.num_rows:
            work = partial(step.ask_ahead, self.step.given(rows), context)
            name, start = f"{self.step.name} ahead, {batch.part}", batch.row - limit.row
            with contextlib.suppress(Exception):  # it is raised again when the batch is measured
                limit.call(name, start, rows.num_rows, work)

    def _media(self) -> Media:
        return self.media.open(self.step.step.images())

    def _batches(self, view: PartView) -> Iterator[pa.Table]:
        """Yield the rows of the part, with only the columns that the step needs."""
        columns = (*self.step.reads, *(self.step.only or {}), *self.step.step.rewrites, "origin")
        return view.read(joint_batch_rows([self.step]), tuple(dict.fromkeys(columns)))

    def _masks(self, batch: Batch) -> tuple[np.ndarray, np.ndarray | None]:
        """Return two masks of the rows of a batch: the rows that must be measured, and the rows
        that the step's `only` selects (None: all)."""
        rows, known = batch.rows, batch.known
        again = np.ones(rows.num_rows, bool) if known is None else np.asarray(known[".later"])
        selected = self.step.row_mask(rows)
        return (again if selected is None else again & selected), selected

    def _measured(self, batch: Batch, context: Context, raised: RaisedRows) -> pa.Table:
        """Return the rows of a batch for the sidecar, with their measures. If an earlier sidecar
        has measures of these rows, only rows with an error whose cause may be gone now are measured
        again; the measures of all other rows are copied."""
        given, known = batch.rows, batch.known
        mask, selected = self._masks(batch)
        rows = given if mask.all() else given.filter(pa.array(mask))
        columns, errors = measure(self.step, rows, context, raised)
        passed_over = np.zeros(given.num_rows, bool) if selected is None else ~selected
        if mask.all():
            return _sidecar(columns, errors, passed_over)
        spread = expand(Answer(columns, pa.nulls(rows.num_rows, pa.string()), errors), mask, given)
        table = _sidecar(spread.columns, spread.errors, passed_over)
        return table if known is None else _merged(table, known, np.asarray(known[".later"]))


def _blobs(folder: str, earlier: Commit | None) -> str:
    """Return the uri of the file of bytes that an earlier measurement stored; "" if there is
    none."""
    has_blobs = earlier is not None and earlier.file(BLOBS)
    return storage.join(folder, earlier.part + BLOBS) if earlier and has_blobs else ""


class _Earlier:
    """Reads the file of measures that an earlier run wrote, slice by slice: each slice has the rows
    of one batch of the part. If there is no such file, every slice is None."""

    def __init__(self, folder: str, commit: Commit | None) -> None:
        self._table, self._start = None, 0
        if commit:
            self._table = parts.read_columns(storage.join(folder, commit.part + PART))

    def next_rows(self, rows: int) -> pa.Table | None:
        if self._table is None:
            return None
        piece = self._table.slice(self._start, rows)
        self._start += rows
        return piece.combine_chunks()


def _sidecar(columns: Columns, errors: pa.Table, passed_over: np.ndarray) -> pa.Table:
    found = {f".{name}": errors[name] for name in ERRORS.names}
    return pa.table({**columns, **found, PASSED_OVER: pa.array(passed_over)})


def _merged(new: pa.Table, known: pa.Table, new_rows: np.ndarray) -> pa.Table:
    """Return a table with the rows of `new` where the mask `new_rows` is true, and the rows of
    `known` elsewhere."""
    both = pa.concat_tables([known.select(new.column_names), new])
    rows = np.arange(len(new_rows))
    return both.take(pa.array(np.where(new_rows, rows + len(new_rows), rows)))


def _error_counts(sidecar: str) -> dict[str, int]:
    """Count the rows of a file of measures that have an error, and the rows with an error whose
    cause may be gone later: {"errors": 3, "later": 1}."""
    table = parts.read_columns(sidecar, (".kind", ".later"))
    later = int(pc.sum(table[".later"]).as_py() or 0)
    return {"errors": table.num_rows - table[".kind"].null_count, "later": later}
