"""What a corpus step uses: workers, and a folder for the files of its phases. A phase is a set of
tasks that the step runs on workers; the next phase reads their files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from curate.engine.commits import unchanged
from curate.engine.progress import Progress
from manifests import storage
from manifests.run import manifest
from manifests.run.manifest import Commit
from manifests.step import Executor, Task, TaskResult

T = TypeVar("T")
R = TypeVar("R")
K = TypeVar("K", bound=Task)

WORK = "work"
"""A subfolder of the step's folder for temporary files. They are deleted when the step is complete.
They are not flushed to disk, so their digests are checked after a restart."""


class Workspace(NamedTuple):
    """The folder, the executor and the progress display that a corpus step uses.

    `kept` is the step's folder. `inputs_digest` identifies the corpus: files that a phase (a set of
    tasks) has written are used again only if the corpus has not changed. `base` is the folder that
    relative uris start from. `title` is the step's name in messages.
    """

    kept: str
    inputs_digest: str
    base: str
    executor: Executor
    progress: Progress
    title: str

    @property
    def scratch(self) -> str:
        return storage.join(self.kept, WORK)

    def resolve(self, uri: str) -> str:
        return storage.resolve(self.base, uri)

    def note(self, text: str) -> None:
        self.progress.note(f"{self.title}: {text}")

    def map(self, work: Callable[[T], R], items: Iterable[T]) -> Iterator[tuple[T, R]]:
        return self.executor.map(work, items)

    def phase(
        self, name: str, work: Callable[[K, str], TaskResult], tasks: Iterable[K]
    ) -> tuple[str, list[Commit]]:
        folder = storage.join(self.scratch, name)
        storage.make_folder(folder)
        named = {task.name: task for task in tasks}
        commits = self._committed(folder, named)
        waiting = [task for name, task in named.items() if name not in commits]
        with self.progress.show(f"{self.title}: {name}", len(waiting), len(commits)) as bar:
            committing = _Committing(work, folder, self.inputs_digest)
            for task, commit in self.executor.map(committing, waiting):
                commits[task.name] = commit
                bar.step([])
        return folder, [commits[name] for name in named]

    def _committed(self, folder: str, names: Iterable[str]) -> dict[str, Commit]:
        found = {n: manifest.load_commit(storage.join(folder, f"{n}.json")) for n in names}
        return {
            name: commit
            for name, commit in found.items()
            if commit and commit.inputs_digest == self.inputs_digest and unchanged(folder, commit)
        }


@dataclass(frozen=True)
class _Committing(Generic[K]):
    """Runs a task of a corpus step, then writes its commit: a JSON file that lists the files which
    the task made. The files of a task without a commit are not used."""

    work: Callable[[K, str], TaskResult]
    folder: str
    inputs_digest: str

    def __call__(self, task: K) -> Commit:
        made = self.work(task, self.folder)
        commit = Commit(
            part=task.name,
            inputs_digest=self.inputs_digest,
            rows=sum(file.rows for file in made.files),
            files=made.files,
            detail=made.detail,
        )
        manifest.save(commit, storage.join(self.folder, f"{task.name}.json"), durable=False)
        return commit


def clear(folder: str) -> None:
    """Delete the temporary files of a completed corpus step."""
    storage.delete_folder(storage.join(folder, WORK))
