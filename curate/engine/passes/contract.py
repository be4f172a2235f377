"""The contract of a pass: its tasks, the work of a task, and the state it leaves to later passes.

A task names files and carries no rows. It may be killed and repeated at any time: files are
written under temporary names, and its part exists only once its commit does.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, TypeVar

import pyarrow as pa

from curate.engine.media_options import MediaOptions
from curate.engine.outcomes import QUARANTINED
from curate.engine.part_files import QUARANTINE
from curate.engine.part_view import PartView
from curate.engine.planned import PlannedStep
from curate.engine.progress import Progress
from manifests import storage
from manifests.run.manifest import Commit
from manifests.step import Executor
from manifests.storage import parts


class Task(Protocol):
    """One part to make. It need not be made if a commit with the same `inputs_digest` exists."""

    @property
    def part(self) -> str: ...

    @property
    def inputs_digest(self) -> str: ...


class PartTask(NamedTuple):
    """A part of the passes before, from which the pass makes a part with the same name."""

    view: PartView

    @property
    def part(self) -> str:
        return self.view.name

    @property
    def inputs_digest(self) -> str:
        return self.view.digest


T = TypeVar("T", bound=Task)


class RunContext(NamedTuple):
    """What all passes of a run share. `steps`: the folder that holds a folder for every pass.

    `retry`: inputs that were quarantined are tried again, because the cause may no longer exist.
    """

    out: str
    steps: str
    media: MediaOptions
    executor: Executor
    progress: Progress
    retry: bool = False


class SortedParts(NamedTuple):
    """The parts of the order pass, each cut into one record batch for each of `shards` shards."""

    folder: str
    commits: tuple[Commit, ...]
    shards: int


class State(NamedTuple):
    """What the passes so far have made. Each pass takes a state and returns the next.

    `shards`: by format the folder, files, rows and bytes that were written.
    """

    parts: tuple[PartView, ...] = ()
    sorted: SortedParts = SortedParts("", (), 1)
    shards: Mapping[str, dict[str, Any]] = {}


@dataclass(frozen=True)
class Pass(ABC, Generic[T]):
    """One pass over the corpus. `number` sorts the folders of the passes of a run.

    `fingerprint` identifies the settings of this pass and of all before it.
    """

    kind: ClassVar[str]

    number: int
    name: str
    fingerprint: str

    @property
    def steps(self) -> list[PlannedStep]:
        """The steps that run in this pass."""
        return []

    @property
    def title(self) -> str:
        """What the pass does, for people."""
        return self.name

    @property
    def folder_name(self) -> str:
        return f"{self.number:02d}-{self.name}-{self.fingerprint}"

    def folder(self, run: RunContext) -> str:
        """Where the commits and the manifest of the pass lie."""
        return storage.join(run.steps, self.folder_name)

    def files_folder(self, run: RunContext) -> str:
        """Where the files that the commits name lie."""
        return self.folder(run)

    @abstractmethod
    def tasks(self, run: RunContext, state: State) -> list[T]:
        """One task for each part that the pass makes, in order."""

    def holds(self, commit: Commit, retry: bool) -> bool:
        """Whether a part that an earlier run committed need not be made again."""
        return not (retry and any(account.quarantined for account in commit.ledger))

    def errors(self, commit: Commit) -> int:
        """How many inputs the part with this commit quarantined, or will."""
        return sum(sum(account.quarantined.values()) for account in commit.ledger)

    def unfinished(self, tasks: list[T], commits: Mapping[str, Commit]) -> list[T]:
        """The tasks to run. `commits`: those of an earlier run that are still valid, by part."""
        return [task for task in tasks if task.part not in commits]

    @abstractmethod
    def work(self, run: RunContext, tasks: Iterable[T]) -> Iterator[Commit]:
        """Run tasks; yields their commits as they complete, in any order."""

    def quarantined(self, folder: str, commit: Commit) -> list[pa.Table]:
        """The rows that the part with this commit quarantined, with the columns `QUARANTINED`."""
        entry = commit.file(QUARANTINE)
        if entry is None:
            return []
        return [parts.read_columns(storage.join(folder, entry.name)).cast(QUARANTINED)]

    @abstractmethod
    def after(self, run: RunContext, state: State, commits: list[Commit]) -> State:
        """The state after the pass; `commits` has one for each task, in order."""
