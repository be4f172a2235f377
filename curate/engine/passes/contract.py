"""What every pass has: its tasks, the work of a task, and the state that it hands on to later
passes.

A task names files and carries no rows. A task may be killed and repeated at any time: files are
written under temporary names, and the part that a task makes counts as complete only once its
commit (the list of its files) is written.
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
    """A task that makes one part (a file of records) or, if it reads many records, several. The
    task is skipped if its parts, made from the same `inputs_digest`, are already complete. `part`
    is the name of the first part."""

    @property
    def part(self) -> str: ...

    @property
    def inputs_digest(self) -> str: ...


T = TypeVar("T", bound=Task)


class RunContext(NamedTuple):
    """The settings that all passes of a run share. `out` is the folder of the run, and `steps` is
    the folder that has a subfolder for each pass. `run_id` is the id by which the run pays for
    requests; it is empty if no step asks a model.

    If `retry` is true, quarantined inputs are tried again, because the cause of their errors may be
    gone.
    """

    out: str
    steps: str
    media: MediaOptions
    executor: Executor
    progress: Progress
    retry: bool = False
    run_id: str = ""


class SortedParts(NamedTuple):
    """The files in `folder` whose rows were sorted into the order of the shards. Each file is cut
    into `shards` record batches, one for each shard. `commits` has one entry for each file."""

    folder: str
    commits: tuple[Commit, ...]
    shards: int


class State(NamedTuple):
    """The results of all passes so far. Each pass takes a state and returns the next state.

    `checked` are the names of the sources whose first files were checked before the first pass.
    `parts` are the files of records with the results of the steps so far. `sorted` are the files
    whose rows were sorted into the order of the shards. `shards` has, for each format, the folder,
    the files, and the numbers of rows and bytes that were written.
    """

    parts: tuple[PartView, ...] = ()
    sorted: SortedParts = SortedParts("", (), 1)
    shards: Mapping[str, ShardsEntry] = {}
    checked: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Pass(ABC, Generic[T]):
    """One pass over the corpus. `number` determines the order of the pass folders of a run.

    `fingerprint` identifies the settings of this pass and of all passes before it. To make one
    part, a pass reads all parts of the passes before if `reads_all` is true; otherwise, it reads
    only the part with the same name.
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
        """The folder of the files that the commits list."""
        return self.folder(run)

    @abstractmethod
    def tasks(self, run: RunContext, state: State) -> list[T]:
        """Return one task for each part that the pass makes, in order."""

    def holds(self, commit: Commit, retry: bool) -> bool:
        """Whether a part that an earlier run made can be used again. `commit` is the list of the
        part's files and counts. If `retry` is true, a part with quarantined inputs may have to be
        made again."""
        return not (retry and any(account.quarantined for account in commit.ledger))

    def errors(self, commit: Commit) -> int:
        """Return how many inputs of a part have an error. `commit` has the counts of the part.
        Usually, this pass quarantines the inputs with an error. The first pass of a costly step
        only measures, so the second pass of this step quarantines them."""
        return sum(account.rows_quarantined for account in commit.ledger)

    def unfinished(self, tasks: list[T], commits: Mapping[str, Commit]) -> list[T]:
        """Return the tasks that must run, which are the tasks without a valid commit of an earlier
        run. `commits` has the valid commits, by the name of the part."""
        return [task for task in tasks if task.part not in commits]

    def bill(self, run: RunContext) -> str:
        """The path of the bill, a file in which a request step counts what it asks and pays; empty
        if the pass asks no model."""
        return ""

    def remaining(self, run: RunContext, tasks: Iterable[T]) -> int:
        """Return how many rows of unfinished tasks have no saved result. Only a pass that asks a
        model implements this method."""
        raise NotImplementedError

    @abstractmethod
    def work(self, run: RunContext, tasks: Iterable[T]) -> Iterator[Commit]:
        """Run tasks; yield the commit of each part that they make, in any order."""

    def quarantined(self, folder: str, commit: Commit) -> list[pa.Table]:
        """Return the rows that were quarantined in the part of this commit, with the columns
        `QUARANTINED`; an empty list if there are none. `folder` has the files of the commit."""
        entry = commit.file(QUARANTINE)
        if entry is None:
            return []
        return [parts.read_columns(storage.join(folder, entry.name)).cast(QUARANTINED)]

    def failed(self, folder: str, state: State, commits: Iterable[Commit]) -> Iterator[pa.Table]:
        """Yield the rows of these commits' parts that the method `errors` counts, with the columns
        `QUARANTINED`. `state` is the state before the pass."""
        for commit in commits:
            yield from self.quarantined(folder, commit)

    def counted(self, folder: str, commits: list[Commit]) -> list[Counted]:
        """Return the counts of a source: how many units (lines, rows, ...) are on disk, and how
        many of them became records, failed, or were left aside. Only a pass that reads a source has
        counts."""
        return total_counted(entry for commit in commits for entry in commit.counted)

    @abstractmethod
    def after(self, run: RunContext, state: State, commits: list[Commit]) -> State:
        """Return the state after the pass. `commits` has the commits of all parts that the pass
        made, in order."""
