"""The requests of the next batches and parts are in flight while the last replies of a batch come
in."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from curate.engine.ahead import Batch, ReadAhead, with_following
from curate.engine.part_task import MeasureTask
from curate.engine.part_view import PartView
from tests.recaption.endpoint import Answer, Asked, Endpoint, good, refusal
from tests.recaption.recaption_runs import TEXTS, journal_files, run, statuses, write


def test_parts_smaller_than_the_cap_are_asked_about_together(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    """Each request is answered when four of two parts are in flight."""
    together = threading.Barrier(4, timeout=20)

    def answer(asked: Asked) -> Answer:
        together.wait()
        return good(asked)

    endpoint.answer = answer
    write(tmp_path, TEXTS, files=6)
    made = run(tmp_path, endpoint, max_concurrent=4)
    assert statuses(tmp_path, made) == {"rewritten": 12}
    assert len(endpoint.asked) == 12


def test_what_was_asked_ahead_is_no_hit_of_the_journal(tmp_path: Path, endpoint: Endpoint) -> None:
    write(tmp_path, TEXTS, files=6)
    run(tmp_path, endpoint)
    [path] = journal_files(tmp_path)
    entries = [json.loads(line.split(b" ", 2)[2]) for line in path.read_bytes().splitlines()]
    assert len(entries) == sum("body" in one for one in entries) == 12


def test_a_refused_request_of_a_later_part_is_not_asked_again(
    tmp_path: Path, endpoint: Endpoint
) -> None:
    """The first part has a reply that may come later, the last part one that never will."""
    answers = {TEXTS[0]: refusal(500, "internal"), TEXTS[11]: refusal(400, "too long")}
    endpoint.answer = lambda asked: answers.get(asked.raw_text) or good(asked)
    write(tmp_path, TEXTS, files=6)
    run(tmp_path, endpoint, max_attempts=1)
    run(tmp_path, endpoint, max_attempts=1, retry=True)
    assert len(endpoint.asked) == 13
    assert endpoint.texts.count(TEXTS[0]) == 2


def test_each_batch_is_read_once_and_rows_are_read_ahead() -> None:
    import pyarrow as pa

    def read(task: MeasureTask, saved_rows: int) -> list[Batch]:
        rows = pa.table({"n": range(10)})
        return [Batch(task.part, row, rows, None) for row in range(saved_rows, task.view.rows, 10)]

    tasks = [MeasureTask(PartView(f"part-{n}", "", "", rows=20, origin="")) for n in range(3)]
    tasks = [replace(one, following=tuple(tasks[n + 1 :])) for n, one in enumerate(tasks)]
    ahead, begun = ReadAhead(lambda task, saved: iter(read(task, saved)), 20), list[str]()
    seen = []
    for task in tasks:
        for batch in ahead.batches(task, 0, lambda one: begun.append(f"{one.part} {one.row}")):
            seen.append((batch.part, batch.row, len(begun)))
    assert seen == [
        ("part-0", 0, 3), ("part-0", 10, 4),
        ("part-1", 0, 5), ("part-1", 10, 6),
        ("part-2", 0, 6), ("part-2", 10, 6),
    ]  # fmt: skip
    saved = [batch.row for batch in ahead.batches(tasks[0], 10, lambda one: None)]
    assert saved == [10]


def test_as_many_tasks_follow_as_have_the_rows_and_none_of_an_empty_part() -> None:
    counts = (5, 0, 4, 0, 0, 6, 1)
    tasks = [MeasureTask(PartView(f"{n}", "", "", rows, "")) for n, rows in enumerate(counts)]
    assert [[one.part for one in task.following] for task in with_following(tasks, 8)] == [
        ["2", "5"], ["2", "5"], ["5", "6"], ["5", "6"], ["5", "6"], ["6"], [],
    ]  # fmt: skip
    assert [task.following for task in with_following(tasks, 0)] == [()] * 7


def test_batches_that_were_read_ahead_are_dropped_if_another_worker_measures_their_part() -> None:
    import pyarrow as pa

    def read(task: MeasureTask, saved_rows: int) -> Iterator[Batch]:
        rows = pa.table({"n": range(10)})
        yield from (Batch(task.part, row, rows, None) for row in range(saved_rows, 20, 10))

    first, second, third = (MeasureTask(PartView(f"{n}", "", "", 20, "")) for n in range(3))
    ahead = ReadAhead(read, 20)
    for task in (replace(first, following=(second, third)), third, second):
        seen = [(one.part, one.row) for one in ahead.batches(task, 0, lambda one: None)]
        assert seen == [(task.part, 0), (task.part, 10)]


def test_an_empty_part_or_saved_rows_do_not_change_which_rows_are_measured() -> None:
    import pyarrow as pa

    def read(task: MeasureTask, saved_rows: int) -> Iterator[Batch]:
        rows = pa.table({"n": range(10)})
        begun.append(task.part)
        yield from (Batch(task.part, row, rows, None) for row in range(saved_rows, 20, 10))

    begun = list[str]()
    full, empty, last = (MeasureTask(PartView(f"{n}", "", "", 20 * (n != 1), "")) for n in range(3))
    ahead, seen = ReadAhead(read, 20), list[tuple[str, int]]()
    for task in (replace(full, following=(last,)), replace(empty, following=(last,)), last):
        seen += [(one.part, one.row) for one in ahead.batches(task, 0, lambda one: None)]
    assert seen == [("0", 0), ("0", 10), ("2", 0), ("2", 10)]
    assert begun == ["0", "2"]
    for task, saved_rows in ((replace(full, following=(last,)), 0), (last, 10)):
        seen = [(one.part, one.row) for one in ahead.batches(task, saved_rows, lambda one: None)]
    assert seen == [("2", 10)]
