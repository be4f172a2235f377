"""Reads batches of records before they are measured, so that a step can send the requests of the
next batches while it waits for the last replies of a batch."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

import pyarrow as pa

from curate.engine.part_task import MeasureTask


class Batch(NamedTuple):
    """Consecutive rows of a part that must be measured. `row` is the index of the first row in the
    part. `known` has the results of an earlier measurement of these rows; None if there are
    none."""

    part: str
    row: int
    rows: pa.Table
    known: pa.Table | None


def with_following(tasks: list[MeasureTask], rows: int) -> Iterator[MeasureTask]:
    """Yield the tasks in order. Each task gets the field `following`: the tasks after it, as many
    as are needed for `rows` rows in total, without tasks of empty parts."""
    for number, task in enumerate(tasks):
        following, found = list[MeasureTask](), 0
        for other in tasks[number + 1 :]:
            if found >= rows:
                break
            if other.view.rows:
                following.append(other)
                found += other.view.rows
        yield replace(task, following=tuple(following))


class ReadAhead:
    """Reads the batches of tasks, one task after another. Before a batch is yielded, the next
    batches are read until they have `rows` rows in total, if necessary also batches of the
    following tasks.

    `read` is a function that yields the batches of a task, without its first rows if these are
    saved already; its second argument is the number of saved rows.
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
        """Yields the batches of a task. `begin` is called with each batch as soon as the batch is
        read, also with batches of following tasks."""
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
