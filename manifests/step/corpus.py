"""What a corpus step works with: the corpus, the workers, and files between its phases."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, Protocol, TypeVar

import pyarrow as pa

from manifests.run.manifest import Commit, FileEntry

T = TypeVar("T")
R = TypeVar("R")


class Part(NamedTuple):
    """One part of a corpus, by number and name."""

    number: int
    name: str
    rows: int


class Corpus(Protocol):
    """The whole corpus through the columns a corpus step declares. Picklable."""

    @property
    def parts(self) -> tuple[Part, ...]: ...

    def read(self, part: Part, columns: tuple[str, ...] | None = None) -> pa.Table:
        """The columns the step reads (or some of them), rows dropped by earlier steps left out."""
        ...


class Executor(Protocol):
    """Runs a function over items on the workers at hand. Functions must be safe to repeat."""

    def map(self, work: Callable[[T], R], items: Iterable[T]) -> Iterator[tuple[T, R]]:
        """Each item with its result, as they complete, in no promised order."""
        ...


class Task(Protocol):
    """One item of a phase; its name is unique in the phase, and the files made of it begin so."""

    @property
    def name(self) -> str: ...


K = TypeVar("K", bound=Task)


class TaskResult(NamedTuple):
    """The files a task of a phase wrote, and what else it has to tell, as plain data."""

    files: list[FileEntry]
    detail: dict[str, Any]


class Workspace(Protocol):
    """What a corpus step works with, in the driver: workers, and a folder for what they write.

    A phase is like a pass: its tasks write whole files and are committed one by one, so a task
    may be killed and repeated, and a run that was killed goes on in the middle of the step.
    """

    @property
    def kept(self) -> str:
        """The folder for files that stay."""
        ...

    @property
    def scratch(self) -> str:
        """The folder for files that go when the step is done, those of the phases among them.

        They are written with `durable=False`, and their digests looked at after a restart.
        """
        ...

    def resolve(self, uri: str) -> str:
        """The full path or URL of what a setting names."""
        ...

    def map(self, work: Callable[[T], R], items: Iterable[T]) -> Iterator[tuple[T, R]]:
        """As `Executor.map`: for small results, and nothing on disk."""
        ...

    def phase(
        self, name: str, work: Callable[[K, str], TaskResult], tasks: Iterable[K]
    ) -> tuple[str, list[Commit]]:
        """Run `work(task, folder)` for every task not committed yet; the folder and all commits,
        in the order of the tasks. What a task does may depend on nothing but the corpus, the
        step and the seed."""
        ...
