"""Runs a plan, pass by pass and part by part, and skips the work that is already done."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from curate.engine.commits import damage
from curate.engine.media_options import MediaOptions
from curate.engine.outcomes import QUARANTINED
from curate.engine.pass_folder import PassFolder
from curate.engine.passes import Pass, ReadPass, RunContext, State
from curate.engine.plan import notes, plan
from curate.engine.progress import Progress
from curate.engine.run_manifest import (
    FinishedPass,
    Start,
    request_steps,
    run_manifest,
)
from curate.engine.source_check import checked_files
from curate.recipe import Loaded
from manifests import storage
from manifests.errors import BudgetError, SpentError
from manifests.run import ledger, manifest, payer
from manifests.run.file_names import BLOBS, PART, RUN_QUARANTINE, STEPS, UNFINISHED
from manifests.run.ledger import Account
from manifests.run.lock import holding
from manifests.run.manifest import (
    Commit,
    PassManifest,
    RunManifest,
    ShardsEntry,
)  # fmt: skip
from manifests.step import Executor
from manifests.storage import parts
from manifests.storage.file_entry import FileEntry


class Run:
    """Runs one recipe into one output folder, with one executor.

    If `retry` is true, parts with quarantined inputs are made again, because the cause of an error
    may be gone: a missing image, for example, may exist now. A costly step measures only the rows
    with a transient error again.
    """

    def __init__(
        self,
        loaded: Loaded,
        out: str,
        executor: Executor,
        progress: Progress,
        retry: bool = False,
    ) -> None:
        # Workers may have another current folder.
        full, base = storage.absolute(out), storage.absolute(loaded.base)
        steps = storage.join(full, STEPS)
        media = MediaOptions(base, steps, loaded.recipe.media, loaded.recipe.max_cpu_seconds)
        self.loaded, self.out = loaded, out
        self._passes: list[Pass[Any]] = []
        self.context = RunContext(full, steps, media, executor, progress, retry)
        self.finished: list[FinishedPass] = []

    def __call__(self) -> RunManifest:
        """Run the passes, skipping parts that are already complete, then write the manifest of the
        run.

        Raises LockError if another run writes to the same folder, and BudgetError if more inputs
        are quarantined than the recipe allows.
        """
        with self._locked():
            return self._run()

    def until(self, name: str) -> str | None:
        """Run all passes before the pass of the step `name`, and return the id of one record that
        this pass would get; None if it would get no record. The manifest of the run is not written.
        A later run of the whole recipe continues after these passes."""
        with self._locked():
            self._passes = plan(self.loaded)
            last = next(n for n, p in enumerate(self._passes) if _has(p, name))
            state = self._run_passes(self._passes[:last])
            self._write_quarantine([])
            self._save_unfinished()
        batches = (batch for view in state.parts for batch in view.read(1, ("id",)))
        return next((batch["id"][0].as_py() for batch in batches if batch.num_rows), None)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        storage.make_folder(self.out)
        with holding(self.out, self.context.progress.warn) as self._lock:
            for note in notes(self.loaded):
                self.context.progress.note(note)
            if request_steps(self.loaded):
                self.context = self.context._replace(run_id=payer.run_id(self.context.out))
            yield

    def _run_passes(self, passes: list[Pass[Any]]) -> State:
        state = State(checked=self._check_sources())
        for planned in passes:
            if not isinstance(planned, ReadPass):
                self._check_budget()  # all sources are read, so the inputs are counted
            state = self._run_pass(planned, state)
        self._check_budget()
        return state

    def _run(self) -> RunManifest:
        start = Start.now()
        self._passes = plan(self.loaded)
        state = self._run_passes(self._passes)
        is_unchanged = storage.exists(storage.join(self.out, manifest.NAME))
        storage.clear_unfinished(self.out, below=not is_unchanged)
        files = [self._write_quarantine([])]
        return self._finish(dict(state.shards), files, start)

    def _check_sources(self) -> frozenset[str]:
        """Check the files of all sources that are not read yet, and return the names of these
        sources. So a mistake in a source is found before the first source is read. The first source
        is left out, because it is checked when it is read."""
        sources = [planned for planned in self._passes[1:] if isinstance(planned, ReadPass)]
        unread = [
            planned
            for planned in sources
            if not storage.exists(storage.join(planned.folder(self.context), manifest.NAME))
        ]
        for planned in unread:
            checked_files(planned.reader, self.context.media)
        return frozenset(planned.name for planned in unread)

    def _run_pass(self, planned: Pass[Any], state: State) -> State:
        run = self.context
        place = PassFolder(planned.folder(run), planned.files_folder(run))
        place.open(self.out)
        tasks = planned.tasks(run, state)
        commits = self._usable(planned, place, tasks)
        unfinished, bill = planned.unfinished(tasks, commits), planned.bill(run)
        if unfinished:
            self._delete_manifest()
            if bill:
                self._save_unfinished()
            place.begin({task.part for task in tasks} | commits.keys())
        done, names = len(tasks) - len(unfinished), {task.part for task in unfinished}
        with run.progress.show(planned.title, len(unfinished), done, bill) as bar:
            try:
                for commit in planned.work(run, unfinished):
                    self._lock.check()
                    commits[commit.part] = commit
                    bar.step(commit.ledger, commit.part in names)
                    self._check_count(planned, place.folder, state, commits.values())
            except SpentError as error:
                rest = [task for task in unfinished if task.part not in commits]
                left = planned.remaining(run, rest) - len(error.answered)
                raise _of_records(error, left, sum(view.rows for view in state.parts)) from None
        made = [commits[name] for task in tasks for name in _parts(commits[task.part])]
        self._finish_pass(planned, place, made)
        return planned.after(run, state, made)

    def _usable(self, planned: Pass[Any], place: PassFolder, tasks: list[Any]) -> dict[str, Commit]:
        """Return the commits (lists of files and digests) of an earlier run whose files still have
        the sizes and digests that the commits state.

        Every file is read once to check this. A part with a damaged file is made again, and so are
        the parts of later passes that may have been made from the damaged bytes.
        """
        groups = place.groups({task.part: task.inputs_digest for task in tasks})
        known = [commit for group in groups for commit in group]
        damaged = damage(place.files, known, self.context.executor)
        for one in damaged:
            self.context.progress.warn(f"{one.place}: {one.fault}; the file is made again")
        read = {d.part for d in damaged if d.was_read and d.entry.name.endswith((PART, BLOBS))}
        wrong = {one.part for one in damaged}
        if read and planned.kind != "shards":
            spoiled = (group for group in groups if read & {c.part for c in group})
            self._forget_after(planned, {c.part for group in spoiled for c in group})
        retry = self.context.retry
        return {
            commit.part: commit
            for group in groups
            if all(c.part not in wrong and planned.holds(c, retry) for c in group)
            for commit in group
        }

    def _forget_after(self, damaged: Pass[Any], parts: set[str]) -> None:
        """Delete what later passes made from the parts `parts` of the pass `damaged`, because files
        of these parts are damaged. Call this before the parts are made again."""
        storage.delete(storage.join(self.out, manifest.NAME))
        run = self.context
        spoiled: set[str] | None = parts
        for later in self._passes[self._passes.index(damaged) + 1 :]:
            if later.kind == "read":
                continue
            spoiled = None if later.reads_all else spoiled
            PassFolder(later.folder(run), later.files_folder(run)).forget(spoiled)

    def _finish_pass(self, planned: Pass[Any], place: PassFolder, commits: list[Commit]) -> None:
        """Write the manifest of a pass, when all of its parts are complete."""
        accounts = ledger.total(a for commit in commits for a in commit.ledger)
        ledger.check(accounts, planned.folder_name)
        elsewhere = place.files != place.folder
        made = PassManifest(
            name=planned.name,
            kind=planned.kind,
            fingerprint=planned.fingerprint,
            steps=[self.loaded.identity(step) for step in planned.steps],
            files_folder=storage.base_name(place.files) if elsewhere else "",
            parts=commits,
            ledger=accounts,
            counted=planned.counted(place.folder, commits),
        )
        if not place.has(made):
            self._delete_manifest()
            place.finish(made)
        self.finished.append(FinishedPass(planned, place.folder, made))

    def accounts(self) -> list[Account]:
        return [account for done in self.finished for account in done.manifest.ledger]

    def _check_count(
        self, planned: Pass[Any], folder: str, state: State, running: Iterable[Commit]
    ) -> None:
        """Raise BudgetError as soon as there are more quarantined inputs than `max_quarantined`, if
        this setting is a whole number and not a fraction of all inputs. `running` has the commits
        of the current pass, which have the counts of its parts, and `state` is the state before the
        pass."""
        limit = self.loaded.recipe.max_quarantined
        if limit < 1:
            return
        spent = self._spent() + sum(planned.errors(commit) for commit in running)
        if spent > limit:
            running_rows = planned.failed(folder, state, running)
            raise self._over_budget(spent, f"max_quarantined: {limit}", running_rows)

    def _check_budget(self) -> None:
        """Raise BudgetError if the finished passes have more quarantined inputs than the recipe's
        setting `max_quarantined` allows, which is a number or, if it is below 1, a fraction of all
        inputs. The quarantined inputs of parts that this run took over from an earlier run are
        included."""
        limit, inputs = self.loaded.recipe.max_quarantined, self._inputs()
        spent, is_share = self._spent(), limit < 1
        if spent > (limit * inputs if is_share else limit) and (inputs or not is_share):
            of = f" of {inputs}" if is_share else ""
            raise self._over_budget(spent, f"max_quarantined: {limit}{of}", [])

    def _over_budget(self, spent: int, budget: str, running: Iterable[pa.Table]) -> BudgetError:
        """Write the file of the run's quarantined inputs, and return the error that says that
        `spent` inputs were quarantined, which is more than `budget` allows. `running` has the
        quarantined rows of the current pass."""
        self._delete_manifest()
        self._write_quarantine(running)
        what = "1 input was" if spent == 1 else f"{spent} inputs were"
        again = transient_count(self.out)
        retry = f" {again:,} of them may succeed now: run again with --retry." if again else ""
        return BudgetError(
            f"{what} quarantined, more than the error budget of {budget}.",
            self.out,
            f"To see why: curate explain --quarantine {self.out}.{retry} Correct the source, or "
            "raise max_quarantined.",
        )

    def _inputs(self) -> int:
        reads = (done for done in self.finished if isinstance(done.planned, ReadPass))
        return sum(account.rows_in for done in reads for account in done.manifest.ledger)

    def _spent(self) -> int:
        return sum(_quarantined_count(done.manifest.parts) for done in self.finished)

    def _delete_manifest(self) -> None:
        """Delete the manifest of an earlier run, because files that it names will change."""
        storage.delete(storage.join(self.out, manifest.NAME))

    def _write_quarantine(self, running: Iterable[pa.Table]) -> FileEntry:
        """Write the quarantined rows of all finished passes, and the rows in `running`, to one
        file. `running` has the quarantined rows of the current pass."""
        tables = (
            table
            for done in self.finished
            for commit in done.manifest.parts
            for table in done.planned.quarantined(done.folder, commit)
        )
        uri = storage.join(self.out, RUN_QUARANTINE)
        return parts.write(uri, QUARANTINED, chain(tables, running))

    def _save_unfinished(self) -> None:
        """Write a manifest of the passes that are done, so that `curate show --prompt` can show a
        request before it is paid for. The manifest is deleted at the end of the complete run."""
        made = run_manifest(self.loaded, self.context, self.finished)
        manifest.save(made, storage.join(self.out, UNFINISHED))

    def _finish(
        self, written: dict[str, ShardsEntry], files: list[FileEntry], start: Start
    ) -> RunManifest:
        made = run_manifest(self.loaded, self.context, self.finished)
        made.shards, made.files = written, files
        made.environment |= start.seconds_since()
        manifest.save(made, storage.join(self.out, manifest.NAME))
        storage.delete(storage.join(self.out, UNFINISHED))
        return made


def _has(planned: Pass[Any], name: str) -> bool:
    return any(step.name == name for step in planned.steps)


def _of_records(error: SpentError, left: int, rows: int) -> SpentError:
    """Return the error of a used-up budget, with a sentence that says how many of the `rows`
    records are left."""
    fault = f"{error.fault}. {left:,} of {rows:,} records remain."
    return error.changed(fault)


def transient_count(out: str) -> int:
    """Return how many of the quarantined inputs of a run have an error whose cause may be gone now,
    such as a server that did not answer."""
    later = parts.read_columns(storage.join(out, RUN_QUARANTINE), ("later",))["later"]
    return pc.sum(later).as_py() or 0


def _parts(commit: Commit) -> list[str]:
    """The names of all parts that one task made. `commit` is the commit of the first part."""
    return [commit.part, *commit.more]


def _quarantined_count(commits: Iterable[Commit]) -> int:
    return sum(account.rows_quarantined for commit in commits for account in commit.ledger)
