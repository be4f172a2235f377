"""The contract of a step: three shapes and no more.

A step is its parameters: a frozen model whose fields are the YAML and whose docstring is the
manual page. It answers every row, in order, and removes none; the engine alone removes rows.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar, NamedTuple, Protocol, TypeVar

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from manifests.manifest import Commit, FileEntry
from manifests.media import Media

T = TypeVar("T")
R = TypeVar("R")


class Outcome(NamedTuple):
    """What a step says of each row of a batch."""

    columns: dict[str, pa.Array]
    """Measures by the names in `measures`, or rewritten record columns named in `rewrites`."""
    drop: pa.Array | None = None
    """string: why the row goes, null where it stays. A short, fixed phrase; the numbers that
    prove it are in `columns`, and the engine keeps them with the dropped row."""
    error: pa.Array | None = None
    """string: why the row could not be judged, null where it could. Such rows are quarantined."""
    files: tuple[FileEntry, ...] = ()
    """What a corpus step keeps for later runs, of this part; written to `workspace.kept`."""


class Step(BaseModel):
    """What every step has. `version` goes up when the same settings would answer differently."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: ClassVar[int] = 1
    measures: ClassVar[dict[str, pa.DataType]] = {}
    rewrites: ClassVar[tuple[str, ...]] = ()

    def files(self, base: str) -> tuple[str, ...]:
        """Full paths of files the answers depend on, relative ones of settings lying below `base`;
        their names and digests are part of the step's identity."""
        return ()

    def notes(self, base: str) -> tuple[str, ...]:
        """What a user should know of these settings before a run starts."""
        return ()


class RowStep(Step):
    """Looks at one batch of records."""

    picture_side: ClassVar[int | None] = None
    """The shorter side, in pixels, of the pictures it asks `media` for; None for no pictures."""

    @abstractmethod
    def __call__(self, batch: pa.Table, media: Media) -> Outcome: ...


class ReshapeStep(Step):
    """Makes new records out of old ones; the engine counts what came and what was made.

    A made record keeps the id of the record it continues, or takes `record.child_ids`.
    """

    @abstractmethod
    def __call__(self, batch: pa.Table, media: Media) -> pa.Table: ...


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


class Made(NamedTuple):
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

    def place(self, uri: str) -> str:
        """The full path or URL of what a setting names."""
        ...

    def map(self, work: Callable[[T], R], items: Iterable[T]) -> Iterator[tuple[T, R]]:
        """As `Executor.map`: for small results, and nothing on disk."""
        ...

    def phase(
        self, name: str, work: Callable[[K, str], Made], tasks: Iterable[K]
    ) -> tuple[str, list[Commit]]:
        """Run `work(task, folder)` for every task not committed yet; the folder and all commits,
        in the order of the tasks. What a task does may depend on nothing but the corpus, the
        step and the seed."""
        ...


class CorpusStep(Step):
    """Looks at the whole corpus through a few narrow columns."""

    def reads(self) -> tuple[str, ...]:
        """The columns it looks at: of the record, or measures of steps before it."""
        return ("id",)

    def measured_by(self) -> dict[str, RowStep]:
        """Row steps it needs to have run, by name; the engine runs those the recipe has not."""
        return {}

    @abstractmethod
    def decide(
        self, corpus: Corpus, workspace: Workspace, seed: int
    ) -> Iterator[tuple[Part, Outcome]]:
        """An outcome for every part, aligned with the rows that `corpus.read(part)` gives."""


def reasons(rows: int, *rules: tuple[pa.Array | pa.ChunkedArray | np.ndarray, str]) -> pa.Array:
    """The first reason that applies to each row, null where none does.

    Each rule is a boolean mask (true: the row goes) and its phrase; a null mask does not apply.
    """
    which = np.full(rows, -1, np.int32)
    for number, (mask, _) in reversed(list(enumerate(rules))):
        which[np.asarray(_plain(mask))] = number
    phrases = pa.array([phrase for _, phrase in rules], pa.string())
    return phrases.take(pa.array(which, mask=which < 0))


def _plain(mask: pa.Array | pa.ChunkedArray | np.ndarray) -> np.ndarray:
    if isinstance(mask, np.ndarray):
        return mask
    return np.asarray(mask.fill_null(False))
