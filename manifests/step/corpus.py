"""What the engine passes to a corpus step: the corpus, workers, and folders for the files of its
phases."""

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
    """One part of a corpus, which is a group of records in one file. `number`: its position in the
    corpus. `rows`: how many records the part has."""

    number: int
    name: str
    rows: int


class Corpus(Protocol):
    """All records of the corpus, in parts. A part is a group of records in one file. A corpus can
    be pickled and sent to workers."""

    @property
    def parts(self) -> tuple[Part, ...]: ...

    def read(self, part: Part, columns: tuple[str, ...] | None = None) -> pa.Table:
        """Returns rows of a part: the rows that earlier steps kept and that the setting `only` of
        the step selects. `columns` must be among the columns of the step's `reads()`; None means
        all of them."""
        ...


class Worker(NamedTuple):
    """The worker process in which a step loads its model.

    `base` is the folder of relative paths. `gpus` is the number of GPUs that the step may use.
    `limits` are the limits of media files that the step reads while it loads the model.
    """

    base: str
    gpus: float = 0
    limits: Limits = Limits()

    @property
    def gpu(self) -> bool:
        """Whether the step may use a GPU."""
        return self.gpus > 0


class Opened(Protocol[T_contra, R_co]):
    """A function that needs a preparation, such as loading a model, before it can process items:
    `with work.open() as call: call(item)`."""

    def open(self) -> AbstractContextManager[Callable[[T_contra], R_co]]: ...


class Executor(Protocol):
    """Runs a function on many items, in this process or on workers.

    A call may be repeated after a crash, so the function must return the same result each time.
    """

    def map(self, work: Callable[[T], R], items: Iterable[T]) -> Iterator[tuple[T, R]]:
        """Calls `work(item)` for every item. Yields pairs (item, result), each pair as soon as its
        result is complete, so the order is not defined."""
        ...

    def map_opened(
        self, work: Opened[T, R], items: Iterable[T], resources: Resources
    ) -> Iterator[tuple[T, R]]:
        """Yields the same pairs as `map`, but every worker opens `work` once, before its first
        item, and closes it after its last item.

        On Ray, every worker has the given `resources`, and if a worker crashes, another worker
        processes its item. In one process, `resources` are not checked.
        """
        ...


class Task(Protocol):
    """One task of a phase; a phase is a list of tasks. The name of the task is unique in the phase.
    The names of the files that the task writes begin with the name of the task."""

    @property
    def name(self) -> str: ...


K = TypeVar("K", bound=Task)


class TaskResult(NamedTuple):
    """The result of a task: the files that it wrote, and other results as JSON values."""

    files: list[FileEntry]
    detail: dict[str, Any]


class Workspace(Protocol):
    """The workers and folders that a corpus step can use. This object exists only in the driver
    process.

    A step works in phases. A phase is a list of tasks. Each task writes complete files. Then its
    commit is written, a file which shows that the task is complete. So a task can be killed and
    repeated, and a run that was killed continues with the tasks that have no commit.
    """

    @property
    def kept(self) -> str:
        """The path of the folder for files that later runs need."""
        ...

    @property
    def scratch(self) -> str:
        """The path of the folder for the files that the tasks write. The folder is deleted when the
        step is complete.

        A crash of the machine may damage these files (`durable=False`), so their digests are
        checked after a restart.
        """
        ...

    def resolve(self, uri: str) -> str:
        """Returns the full path or URL of a uri in the step's settings. The uri may be relative to
        the recipe."""
        ...

    def note(self, text: str) -> None:
        """Prints a remark for the user on what the step has found, such as values that are far more
        frequent than others. A remark is printed only when the step runs, and is not written to any
        file."""
        ...

    def map(self, work: Callable[[T], R], items: Iterable[T]) -> Iterator[tuple[T, R]]:
        """Calls `work(item)` for every item on the workers. Yields pairs (item, result), each pair
        as soon as its result is complete. Use it for small results, because nothing is written to
        disk."""
        ...

    def phase(
        self, name: str, work: Callable[[K, str], TaskResult], tasks: Iterable[K]
    ) -> tuple[str, list[Commit]]:
        """Runs `work(task, folder)` for every task that has no commit yet; a commit is a file which
        shows that the task is complete. `name` is the name of the phase.

        Returns the folder and the commits of all tasks, in the order of the tasks. The files of a
        task must depend only on the corpus, the step's settings and the seed.
        """
        ...
