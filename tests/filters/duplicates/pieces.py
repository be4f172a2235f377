"""The step `duplicates` with workers that die or are slow, for recipes of tests."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple
from unittest.mock import patch

import pyarrow as pa

from filters.duplicates.duplicates import Duplicates, Fit
from filters.duplicates.phases import search, verify
from manifests import storage
from manifests.run.manifest import Commit
from manifests.step import Context, Corpus, Outcome, TaskResult, Workspace

Work = Callable[..., Any]


class Dying(Duplicates):
    """As `duplicates`, but workers die: for each file in the folder `markers`, one worker in the
    phase of that name, after it has written its files and before it reports them."""

    markers: str

    def fit(self, corpus: Corpus, workspace: Workspace, seed: int) -> Fit:
        def dying(name: str, work: Work) -> Work:
            return _DiesOnce(work, storage.join(self.markers, name))

        return super().fit(corpus, _Space(workspace, dying), seed)

    def apply(self, rows: pa.Table, fit: Fit, context: Context) -> Outcome:
        outcome: Outcome = _DiesOnce(super().apply, storage.join(self.markers, "apply"))(
            rows, fit, context
        )
        return outcome


class InPieces(Duplicates):
    """As `duplicates`, but cut into many tasks, each of which sleeps for some milliseconds."""

    milliseconds: int

    def fit(self, corpus: Corpus, workspace: Workspace, seed: int) -> Fit:
        def slow(name: str, work: Work) -> Work:
            return _Slow(work, self.milliseconds)

        ranges = patch.object(search, "RANGE_BYTES", 1 << 15)
        with ranges, patch.object(verify, "SLICE_PAIRS", 100):
            return super().fit(corpus, _Space(workspace, slow), seed)


class _Space(NamedTuple):
    """A workspace that wraps the work it runs."""

    true: Workspace
    wrapped: Callable[[str, Work], Work]

    @property
    def kept(self) -> str:
        return self.true.kept

    @property
    def scratch(self) -> str:
        return self.true.scratch

    def resolve(self, uri: str) -> str:
        return self.true.resolve(uri)

    def note(self, text: str) -> None:
        self.true.note(text)

    def map(self, work: Work, items: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        return self.true.map(self.wrapped("map", work), items)

    def phase(
        self, name: str, work: Callable[[Any, str], TaskResult], tasks: Iterable[Any]
    ) -> tuple[str, list[Commit]]:
        return self.true.phase(name, self.wrapped(name, work), tasks)


@dataclass(frozen=True)
class _DiesOnce:
    work: Work
    marker: str

    def __call__(self, *arguments: Any) -> Any:
        made = self.work(*arguments)
        try:
            os.remove(self.marker)
        except FileNotFoundError:
            return made
        os._exit(1)


@dataclass(frozen=True)
class _Slow:
    work: Work
    milliseconds: int

    def __call__(self, *arguments: Any) -> Any:
        time.sleep(self.milliseconds / 1000)
        return self.work(*arguments)
