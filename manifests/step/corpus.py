"""What a corpus step is given: the corpus, workers, and folders for the files of its phases."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol, TypeVar

import pyarrow as pa

from manifests.media.limits import Limits
from manifests.run.manifest import Commit
from manifests.step.needs import Resources
from manifests.storage.file_entry import FileEntry

T = TypeVar("T")
R = TypeVar("R")
T_contra = TypeVar("T_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)


class Part(NamedTuple):
    """One part of a corpus: its number in the corpus, its name, and its rows."""

    number: int
    name: str
    rows: int


class Corpus(Protocol):
    """All parts of the corpus, read by column. Can be pickled and sent to workers."""

    @property
    def parts(self) -> tuple[Part, ...]: ...

    def read(self, part: Part, columns: tuple[str, ...] | None = None) -> pa.Table:
        """The rows of a part that earlier steps kept; columns: those of `reads()` or fewer."""
        ...


class Worker(NamedTuple):
    """The process in which a step loads its model.

    `base`: the folder of relative paths; `limits`: of media files that are read while loading.
    """

    base: str
    gpus: float = 0
    limits: Limits = Limits()

    @property
    def gpu(self) -> bool:
        """Whether the step may use a GPU."""
        return self.gpus > 0


class Opened(Protocol[T_contra, R_co]):
    """Work that needs a set-up, such as loading a model: `with work.open() as call: call(item)`."""

    def open(self) -> AbstractContextManager[Callable[[T_contra], R_co]]: ...


class Executor(Protocol):
    """Runs a function on many items, in this process or on workers.

    A call may be repeated after a crash, so functions must give the same result again.
    """

    def map(self, work: Callable[[T], R], items: Iterable[T]) -> Iterator[tuple[T, R]]:
        """Pairs of item and result, each as soon as it is complete; the order is not defined."""
        ...

    def map_opened(
        self, work: Opened[T, R], items: Iterable[T], resources: Resources
    ) -> Iterator[tuple[T, R]]:
        """As `map`, with work that is set up once in every worker, and closed there at the end.

        Every worker has the resources; items of a worker that died are given to another.
        """
        ...


class Task(Protocol):
    """One task of a phase. Its name is unique in the phase; its files' names begin with it."""

    @property
    def name(self) -> str: ...


K = TypeVar("K", bound=Task)


class TaskResult(NamedTuple):
    """The files that a task wrote, and other results as JSON values."""

    files: list[FileEntry]
    detail: dict[str, Any]


class Workspace(Protocol):
    """Workers and folders for a corpus step. It lives in the driver process.

    A step works in phases. A phase is a list of tasks; each writes complete files and is committed
    by itself. So a task may be killed and repeated, and a killed run continues in the middle of
    the step.
    """

    @property
    def kept(self) -> str:
        """The folder for files that later runs need."""
        ...

    @property
    def scratch(self) -> str:
        """The folder for files of the phases. It is deleted when the step is done.

        These files are written with `durable=False`; after a restart their digests are checked.
        """
        ...

    def resolve(self, uri: str) -> str:
        """The full path or URL of a uri in the settings, which may be relative to the recipe."""
        ...

    def map(self, work: Callable[[T], R], items: Iterable[T]) -> Iterator[tuple[T, R]]:
        """As `Executor.map`, for small results; nothing is written to disk."""
        ...

    def phase(
        self, name: str, work: Callable[[K, str], TaskResult], tasks: Iterable[K]
    ) -> tuple[str, list[Commit]]:
        """Run `work(task, folder)` for every task without a commit.

        Returns the folder and the commits of all tasks, in the order of the tasks. The files of a
        task must depend only on the corpus, the step's settings and the seed.
        """
        ...
