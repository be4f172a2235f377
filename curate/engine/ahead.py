"""Reads the batches of parts before they are measured, so that the requests of the next batches are
in flight while the last replies of a batch come in."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pyarrow as pa

from curate.engine.part_view import PartView
from manifests.run.manifest import Commit


class MeasureTask(NamedTuple):
    """A task that measures one part.

    `earlier` states the files of an earlier measurement of the same rows. If it is given, only rows
    with an error whose cause may be gone now, such as a server that did not answer, are measured
    again. `following` are the tasks that probably come next.
    """

    view: PartView
    earlier: Commit | None = None
    following: tuple[MeasureTask, ...] = ()

    @property
    def part(self) -> str:
        return self.view.name

    @property
    def inputs_digest(self) -> str:
        return self.view.digest


class Batch(NamedTuple):
    """Rows of a part that are to be measured. `row` is the number of the first in the part, `known`
    has what an earlier sidecar has for the same rows."""

    part: str
    row: int
    rows: pa.Table
    known: pa.Table | None


def with_following(tasks: list[MeasureTask], rows: int) -> Iterator[MeasureTask]:
    """Yield the tasks, each with those after it that have `rows` rows together."""
    for number, task in enumerate(tasks):
        following, found = list[MeasureTask](), 0
        for other in tasks[number + 1 :]:
            if found >= rows:
                break
            following.append(other)
            found += other.view.rows
        yield task._replace(following=tuple(following))


class ReadAhead:
    """Reads the batches of one task after the other. Before a batch is used, those after it are
    read, so that they have `rows` rows together, also batches of the tasks that follow.

    `read` yields the batches of a task, without the rows that are saved already, whose number it
    gets.
    """

    def __init__(self, read: Callable[[MeasureTask, int], Iterator[Batch]], rows: int) -> None:
        self._read, self._ahead = read, rows
        self._waiting: deque[Batch] = deque()
        self._tasks: deque[MeasureTask] = deque()
        self._begun: set[str] = set()
        self._reading: Iterator[Batch] = iter(())

    def batches(
        self, task: MeasureTask, saved_rows: int, begin: Callable[[Batch], None]
    ) -> Iterator[Batch]:
        """Yields the batches of a task. `begin` is called with each batch as soon as it is read,
        and with those of tasks that follow."""
        if not task.view.rows:
            return
        self._go_on(task, saved_rows)
        while True:
            self._fill(begin)
            if not self._waiting or self._waiting[0].part != task.part:
                return
            yield self._waiting.popleft()

    def _go_on(self, task: MeasureTask, saved_rows: int) -> None:
        first = self._waiting[0] if self._waiting else None
        if saved_rows or first is None or (first.part, first.row) != (task.part, 0):
            self._waiting.clear()
            self._begun, self._reading = {task.part}, self._read(task, saved_rows)
        self._tasks = deque(t for t in task.following if t.part not in self._begun)

    def _fill(self, begin: Callable[[Batch], None]) -> None:
        rows = sum(batch.rows.num_rows for batch in self._waiting)
        while not self._waiting or rows - self._waiting[0].rows.num_rows < self._ahead:
            batch = self._next()
            if batch is None:
                return
            begin(batch)
            self._waiting.append(batch)
            rows += batch.rows.num_rows

    def _next(self) -> Batch | None:
        while (batch := next(self._reading, None)) is None:
            if not self._tasks:
                return None
            task = self._tasks.popleft()
            self._begun.add(task.part)
            self._reading = self._read(task, 0)
        return batch
