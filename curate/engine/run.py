"""Run a plan: pass after pass, part after part, doing only what is not done already."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol, TypeVar, cast

import pyarrow as pa

import curate
from curate.emit import formats, shard_set
from curate.emit.settings import FormatName
from curate.emit.shard import ShardCommit
from curate.engine import corpus, emitting, reading, workspace
from curate.engine.commits import present
from curate.engine.passes import PART, QUARANTINE, ReadPass, RowPass, Setting
from curate.engine.plan import PlannedPass, notes, plan
from curate.engine.progress import Progress
from curate.engine.rows import QUARANTINED
from curate.engine.view import View
from curate.recipe import Loaded
from manifests import storage
from manifests.errors import BudgetError
from manifests.run import ledger, manifest
from manifests.run.fingerprint import fingerprint
from manifests.run.ledger import Account
from manifests.run.manifest import Commit, PassEntry, PassManifest, RunManifest
from manifests.step import Executor
from manifests.storage import parts

STEPS, QUARANTINE_FILE = "steps", "quarantine.arrow"


class Task(Protocol):
    """What a pass is asked to do for one part; the part is as new as its token."""

    @property
    def token(self) -> str: ...


T = TypeVar("T", bound=Task)


class Done(NamedTuple):
    """A pass that is whole."""

    planned: PlannedPass
    folder: str
    manifest: PassManifest


class Run:
    """One recipe, one output folder, one executor.

    `retry`: read parts again that held quarantined inputs, since media may have come since.
    """

    def __init__(
        self,
        loaded: Loaded,
        out: str,
        executor: Executor,
        progress: Progress,
        retry: bool = False,
    ) -> None:
        self.loaded, self.out, self.executor, self.progress = loaded, out, executor, progress
        self.retry = retry
        self.steps = storage.join(out, STEPS)
        self.setting = Setting(loaded.base, self.steps, loaded.recipe.media)
        self.done: list[Done] = []

    def __call__(self) -> RunManifest:
        """Everything that is not done yet, then the manifest of the run."""
        started, cpu = time.time(), time.process_time()
        passes = plan(self.loaded)
        for note in notes(self.loaded):
            self.progress.note(note)
        sources = [self._read(p) for p in passes if p.kind == "read"]
        views = [view for done in sources for view in _views(done)]
        self._check_budget()
        for planned in passes:
            if planned.kind == "rows":
                views = self._rows(planned, views)
            elif planned.kind == "corpus":
                views = self._corpus(planned, views)
            self._check_budget()
        order = next(p for p in passes if p.kind == "order")
        ordered, count = self._order(order, views)
        shards = [self._shards(p, ordered, count) for p in passes if p.kind == "shards"]
        self._check_budget()
        self._write_quarantine([])
        return self._finish(dict(shards), started, cpu)

    def folder(self, planned: PlannedPass) -> str:
        place = storage.join(self.steps, planned.folder)
        storage.make_folder(place)
        return place

    def _read(self, planned: PlannedPass) -> Done:
        assert planned.reader is not None
        folder = self.folder(planned)
        tasks = reading.tasks(planned.reader, self.setting, folder, self.executor)
        named = {task.part: task for task in tasks}
        commits = self.run_parts(planned, ReadPass(self.setting, planned.reader, folder), named)
        return self._whole(planned, folder, commits)

    def _rows(self, planned: PlannedPass, views: list[View]) -> list[View]:
        folder = self.folder(planned)
        work = RowPass(self.setting, planned.before, planned.steps, folder)
        commits = self.run_parts(planned, work, {view.name: view for view in views})
        return _views(self._whole(planned, folder, commits))

    def _corpus(self, planned: PlannedPass, views: list[View]) -> list[View]:
        folder = self.folder(planned)
        made_of = corpus.token(views)
        known = self._committed(folder, {v.name: made_of for v in views}, folder)
        commits = [known[v.name] for v in views if v.name in known]
        if len(commits) < len(views):
            space = workspace.Workspace(
                folder, made_of, self.loaded.base, self.executor, self.progress, planned.title
            )
            self._begin(folder, {view.name for view in views}, folder)
            with self.progress.show(planned.title, len(views)) as bar:
                commits = []
                for commit in corpus.run_corpus(planned, views, space, self.loaded.recipe.seed):
                    commits.append(commit)
                    bar.step(commit.ledger)
        done = self._whole(planned, folder, commits)
        workspace.clear(folder)
        return [_after(v, c, done.folder) for v, c in zip(views, commits, strict=True)]

    def _order(self, planned: PlannedPass, views: list[View]) -> tuple[Done, int]:
        """All parts sorted, and the number of shards they were sorted for."""
        recipe, folder = self.loaded.recipe, self.folder(planned)
        tasks = emitting.order_tasks(views, recipe.shards)
        shuffle = recipe.shards.shuffle
        work = emitting.OrderPass(planned.before, recipe.seed, shuffle, folder)
        commits = self.run_parts(planned, work, tasks)
        count = next((task.shards for task in tasks.values()), 1)
        return self._whole(planned, folder, commits), count

    def _shards(
        self, planned: PlannedPass, ordered: Done, count: int
    ) -> tuple[str, dict[str, Any]]:
        """The shards of one format, and what its loaders need beside them."""
        folder, settings = self.folder(planned), self.loaded.recipe.shards
        kind = cast(FormatName, planned.name)
        name = formats.FOLDERS[kind]
        place = storage.join(self.out, name)
        storage.make_folder(place)
        parts_now = ordered.manifest.parts
        tasks = emitting.shard_tasks(planned.fingerprint, ordered.folder, parts_now, count)
        work = emitting.ShardPass(self.setting, settings, kind, folder, place)
        commits = self.run_parts(planned, work, tasks, place)
        self._whole(planned, folder, commits, name)
        written = [ShardCommit.model_validate(commit.detail) for commit in commits]
        files = formats.finish(kind, place, written, planned.fingerprint)
        return planned.name, {
            "folder": name,
            "rows": sum(shard.rows for shard in written),
            "size_bytes": sum(shard.size_bytes for shard in written),
            "shards": [shard.files[0].name for shard in written if shard.files],
            "files": [file.model_dump() for file in files],
        }

    def run_parts(
        self,
        planned: PlannedPass,
        work: Callable[[T], Commit],
        tasks: dict[str, T],
        place: str | None = None,
    ) -> list[Commit]:
        """The commits of all tasks, in their order; only those not committed before are run.

        `place`: the folder of the parts' files, where it is not the pass's own.
        """
        folder = storage.join(self.steps, planned.folder)
        tokens = {name: task.token for name, task in tasks.items()}
        commits = self._committed(folder, tokens, place or folder)
        waiting = [task for name, task in tasks.items() if name not in commits]
        if waiting:
            self._begin(folder, set(tasks), place or folder)
        with self.progress.show(planned.title, len(waiting), len(commits)) as bar:
            for _, commit in self.executor.map(work, waiting):
                commits[commit.part] = commit
                bar.step(commit.ledger)
                self._check_count(folder, commits.values())
        if waiting:
            storage.clear_unfinished(place or folder)
        return [commits[name] for name in tasks]

    def _begin(self, folder: str, parts_now: set[str], files_in: str) -> None:
        """Take back every manifest that is about to be untrue, and clear what killed tasks left."""
        storage.delete(storage.join(self.out, manifest.NAME))
        if files_in != folder:
            storage.delete(storage.join(files_in, shard_set.NAME))
        _retire(folder, parts_now, files_in)
        storage.clear_unfinished(files_in)

    def _committed(self, folder: str, tokens: dict[str, str], place: str) -> dict[str, Commit]:
        """The parts whose commit was made from the same input, and whose files are still there."""
        known: dict[str, Commit] = {}
        if storage.size_and_stamp(storage.join(folder, manifest.NAME)):
            known = {commit.part: commit for commit in manifest.load_pass(folder).parts}
        out = {}
        for name, token in tokens.items():
            commit = known.get(name)
            if commit is None or commit.inputs_digest != token:
                commit = manifest.load_commit(storage.join(folder, f"{name}.json"))
            if commit and commit.inputs_digest == token and present(place, commit):
                out[name] = commit
        if self.retry:
            return {name: c for name, c in out.items() if not _lost(c)}
        return out

    def _whole(
        self, planned: PlannedPass, folder: str, commits: list[Commit], place: str = ""
    ) -> Done:
        """Write the pass manifest, and clear away parts whose input is gone."""
        accounts = ledger.total(a for commit in commits for a in commit.ledger)
        ledger.check(accounts, planned.folder)
        whole = PassManifest(
            name=planned.name,
            kind=planned.kind,
            fingerprint=planned.fingerprint,
            steps=[step.identity(self.loaded.base) for step in planned.steps],
            files_folder=place,
            parts=commits,
            ledger=accounts,
        )
        if not _says(folder, whole):
            files_in = storage.join(self.out, place) if place else folder
            _retire(folder, {commit.part for commit in commits}, files_in)
            manifest.save(whole, storage.join(folder, manifest.NAME))
        done = Done(planned, folder, whole)
        self.done.append(done)
        return done

    def accounts(self) -> list[Account]:
        return [account for done in self.done for account in done.manifest.ledger]

    def _check_count(self, folder: str, commits: Iterable[Commit]) -> None:
        """Fail at once where a budget that is a count is spent; `commits` of the running pass."""
        most = self.loaded.recipe.max_quarantined
        if most >= 1:
            spent = sum(map(_lost, commits))
            told = f"max_quarantined: {most}"
            self._judge(spent + self._spent(), most, told, _quarantined(folder, commits))

    def _check_budget(self) -> None:
        most, inputs = self.loaded.recipe.max_quarantined, self._inputs()
        if most < 1 and inputs:
            told = f"max_quarantined: {most} of {inputs}"
            self._judge(self._spent(), most * inputs, told, [])

    def _judge(self, spent: int, most: float, told: str, running: list[pa.Table]) -> None:
        if spent > most:
            self._write_quarantine(running)
            raise BudgetError(
                f"{spent} inputs were quarantined, over the budget of {told}.",
                self.out,
                f"See why: curate explain --quarantine {self.out}. Fix the source, or raise "
                "max_quarantined.",
            )

    def _inputs(self) -> int:
        return sum(
            a.rows_in for d in self.done if d.planned.kind == "read" for a in d.manifest.ledger
        )

    def _spent(self) -> int:
        return sum(sum(a.quarantined.values()) for a in self.accounts())

    def _write_quarantine(self, running: list[pa.Table]) -> None:
        """One file of everything that could not be read or written, from all passes."""
        found = [
            table for done in self.done for table in _quarantined(done.folder, done.manifest.parts)
        ]
        parts.write(storage.join(self.out, QUARANTINE_FILE), QUARANTINED, [*found, *running])

    def _finish(self, shards: dict[str, Any], started: float, cpu: float) -> RunManifest:
        recipe = self.loaded.recipe
        entries = [
            PassEntry(
                folder=f"{STEPS}/{done.planned.folder}",
                kind=done.planned.kind,
                name=done.planned.name,
                fingerprint=done.planned.fingerprint,
                digest=done.manifest.digest,
                rows=done.manifest.rows,
                parts=len(done.manifest.parts),
            )
            for done in self.done
        ]
        whole = RunManifest(
            name=recipe.name,
            seed=recipe.seed,
            recipe=self.loaded.content,
            fingerprint=fingerprint([entry.fingerprint for entry in entries]),
            passes=entries,
            ledger=self.accounts(),
            shards=shards,
            environment=_environment(self, started, cpu),
        )
        manifest.save(whole, storage.join(self.out, manifest.NAME))
        return whole


def _lost(commit: Commit) -> int:
    """How many inputs a part quarantined."""
    return sum(sum(account.quarantined.values()) for account in commit.ledger)


def _quarantined(folder: str, commits: Iterable[Commit]) -> list[pa.Table]:
    """What some parts of a pass, or some shards, quarantined."""
    found = []
    for commit in commits:
        if entry := commit.file(QUARANTINE):
            found.append(parts.read_columns(storage.join(folder, entry.name)).cast(QUARANTINED))
        if commit.detail:
            found.append(emitting.quarantined(commit))
    return found


def _views(done: Done) -> list[View]:
    return [
        View(
            name=commit.part,
            uri=storage.join(done.folder, commit.part + PART),
            token=fingerprint([commit.part, commit.digest]),
            rows=commit.rows,
            origin=commit.origin,
            media_bytes=commit.media_bytes,
            text_bytes=commit.text_bytes,
        )
        for commit in done.manifest.parts
    ]


def _after(view: View, commit: Commit, folder: str) -> View:
    """The part as later passes see it, the outcome of a corpus step applied."""
    return view._replace(
        token=fingerprint([view.token, commit.digest]),
        rows=commit.rows,
        media_bytes=commit.media_bytes,
        text_bytes=commit.text_bytes,
        sidecars=(*view.sidecars, storage.join(folder, commit.part + PART)),
    )


def _retire(folder: str, parts_now: set[str], files_in: str) -> None:
    """Take back a pass manifest that is no longer true, and the parts whose input is gone."""
    place = storage.join(folder, manifest.NAME)
    if storage.size_and_stamp(place) is None:
        return
    stale = [commit for commit in manifest.load_pass(folder).parts if commit.part not in parts_now]
    storage.delete(place)
    for commit in stale:
        storage.delete(storage.join(folder, f"{commit.part}.json"))
        for entry in commit.files:
            storage.delete(storage.join(files_in, entry.name))


def _says(folder: str, whole: PassManifest) -> bool:
    """Whether the manifest of a pass is there and says the same."""
    there = storage.size_and_stamp(storage.join(folder, manifest.NAME))
    return there is not None and manifest.load_pass(folder).digest == whole.digest


def _environment(run: Run, started: float, cpu: float) -> dict[str, Any]:
    return {
        "curate": curate.__version__,
        "python": platform.python_version(),
        "pyarrow": pa.__version__,
        "base": os.path.abspath(run.loaded.base) if run.loaded.base else os.getcwd(),
        "executor": getattr(run.executor, "name", ""),
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "seconds": round(time.time() - started, 3),
        "driver_cpu_seconds": round(time.process_time() - cpu, 3),
    }
