"""The contract of a pass: its tasks, the work of a task, and the state passed to later passes.

A task refers to files and carries no rows. It may be killed and repeated at any time: files are
written under temporary names, and its part exists only once its commit exists.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Generic, NamedTuple, Protocol, TypeVar

import pyarrow as pa

from curate.engine.media_options import MediaOptions
from curate.engine.outcomes import QUARANTINED
from curate.engine.part_view import PartView
from curate.engine.planned import PlannedStep
from curate.engine.progress import Progress
from manifests import storage
from manifests.run.counted import Counted, total_counted
from manifests.run.file_names import QUARANTINE
from manifests.run.manifest import Commit, ShardsEntry
from manifests.step import Executor
from manifests.storage import parts


class Task(Protocol):
    """A task that makes one part. It is skipped if a commit with the same `inputs_digest`
    exists."""

    @property
    def part(self) -> str: ...

    @property
    def inputs_digest(self) -> str: ...


class PartTask(NamedTuple):
    """A task that makes one part. Its input is the part of the same name, as earlier passes left it
    (`view`)."""

    view: PartView

    @property
    def part(self) -> str:
        return self.view.name

    @property
    def inputs_digest(self) -> str:
        return self.view.digest


T = TypeVar("T", bound=Task)


class RunContext(NamedTuple):
    """The settings that all passes of a run share. `steps` is the folder that has a subfolder for
    each pass.

    If `retry` is true, quarantined inputs are tried again, because the cause may be gone.
    """

    out: str
    steps: str
    media: MediaOptions
    executor: Executor
    progress: Progress
    retry: bool = False


class SortedParts(NamedTuple):
    """The parts whose rows the order pass has sorted. Each part is cut into `shards` record
    batches, one for each shard."""

    folder: str
    commits: tuple[Commit, ...]
    shards: int


class State(NamedTuple):
    """The results of all passes so far. Each pass takes a state and returns the next one.

    `parts` are the parts with the results of the steps so far. `sorted` are the parts in the order
    of the shards. `shards` has, for each format, the folder, files, rows and bytes that were
    written.
    """

    parts: tuple[PartView, ...] = ()
    sorted: SortedParts = SortedParts("", (), 1)
    shards: Mapping[str, ShardsEntry] = {}


@dataclass(frozen=True)
class Pass(ABC, Generic[T]):
    """One pass over the corpus. `number` determines the order of the pass folders of a run.

    `fingerprint` identifies the settings of this pass and of all passes before it.
    """

    kind: ClassVar[str]
    reads_all: ClassVar[bool] = False
    """Whether making one part needs all parts of earlier passes. If false, it needs only the part
    of the same name."""

    number: int
    name: str
    fingerprint: str

    @property
    def steps(self) -> list[PlannedStep]:
        """The steps that run in this pass."""
        return []

    @property
    def title(self) -> str:
        """A description of what the pass does, shown to the user."""
        return self.name

    @property
    def folder_name(self) -> str:
        return f"{self.number:02d}-{self.name}-{self.fingerprint}"

    def folder(self, run: RunContext) -> str:
        """The folder of the commits and the manifest of the pass."""
        return storage.join(run.steps, self.folder_name)

    def files_folder(self, run: RunContext) -> str:
        """The folder of the files that are listed in the commits."""
        return self.folder(run)

    @abstractmethod
    def tasks(self, run: RunContext, state: State) -> list[T]:
        """Return one task for each part that the pass makes, in order."""

    def holds(self, commit: Commit, retry: bool) -> bool:
        """Whether a part committed by an earlier run is still usable, so that it need not be made
        again. If `retry` is true, a part with quarantined inputs may have to be made again."""
        return not (retry and any(account.quarantined for account in commit.ledger))

    def errors(self, commit: Commit) -> int:
        """Return how many inputs of the part with this commit have an error: this pass quarantines
        them or, for a costly step, this pass finds them and the next pass quarantines them."""
        return sum(sum(account.quarantined.values()) for account in commit.ledger)

    def unfinished(self, tasks: list[T], commits: Mapping[str, Commit]) -> list[T]:
        """Return the tasks that must run. `commits` has the valid commits of an earlier run, by the
        name of the part."""
        return [task for task in tasks if task.part not in commits]

    @abstractmethod
    def work(self, run: RunContext, tasks: Iterable[T]) -> Iterator[Commit]:
        """Run tasks; yield their commits as they complete, in any order."""

    def quarantined(self, folder: str, commit: Commit) -> list[pa.Table]:
        """Return the rows that the part with this commit quarantined, with the columns
        `QUARANTINED`."""
        entry = commit.file(QUARANTINE)
        if entry is None:
            return []
        return [parts.read_columns(storage.join(folder, entry.name)).cast(QUARANTINED)]

    def failed(self, folder: str, state: State, commits: Iterable[Commit]) -> Iterator[pa.Table]:
        """Yield the rows that `errors` counts in the parts with these commits, with the columns
        `QUARANTINED`. `state` is the state before the pass."""
        for commit in commits:
            yield from self.quarantined(folder, commit)

    def counted(self, folder: str, commits: list[Commit]) -> list[Counted]:
        """Return, for each source, how many units (lines, rows, ...) are on disk, and what became
        of them."""
        return total_counted(entry for commit in commits for entry in commit.counted)

    @abstractmethod
    def after(self, run: RunContext, state: State, commits: list[Commit]) -> State:
        """Return the state after the pass. `commits` has one commit for each task, in order."""
