"""`curate distinct`: how many different texts, images and n-grams were read, and were written."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from curate.cli import OK
from curate.commands.run import executor
from curate.commands.tables import table
from curate.engine.fused import BATCH_ROWS
from curate.engine.part_files import PART
from curate.engine.progress import Progress
from curate.inspect.distinct import (
    STANDARD_ERROR,
    Counts,
    Distinct,
    counts,
    distinct_of,
    merged,
    nothing,
)
from manifests import storage
from manifests.errors import RecipeError
from manifests.run import manifest
from manifests.step import Executor
from manifests.storage import parts

READ, WRITTEN = "read", "order"
"""Passes whose parts hold the records as they were read, and those that the shards are made of."""


class Task(NamedTuple):
    """One part of a pass of that kind."""

    kind: str
    uri: str


@dataclass(frozen=True)
class Look:
    """What a part holds, a batch at a time."""

    n: int

    def __call__(self, task: Task) -> Distinct:
        seen = nothing()
        rows = parts.read_columns(task.uri, ("content", "media"))
        for start in range(0, rows.num_rows, BATCH_ROWS):
            batch = rows.slice(start, BATCH_ROWS).combine_chunks()
            seen = merged(seen, distinct_of(batch, self.n))
        return seen


def main(options: argparse.Namespace) -> int:
    if options.ngram < 2:
        raise RecipeError(f"an n-gram has 2 words or more, not {options.ngram}.", "--ngram")
    tasks = list(_tasks(options.run))
    with executor(options) as running:
        read, written = _look(tasks, options.ngram, running, Progress(options.quiet))
    if options.json:
        told = {"ngram": options.ngram, "standard_error": STANDARD_ERROR}
        print(json.dumps({**told, "read": read._asdict(), "written": written._asdict()}, indent=1))
    else:
        print(_told(read, written, options.ngram))
    return OK


def _tasks(out: str) -> Iterator[Task]:
    for entry in manifest.load_run(out).passes:
        if entry.kind in (READ, WRITTEN):
            folder = storage.join(out, entry.folder)
            for commit in manifest.load_pass(folder).parts:
                if commit.rows:
                    yield Task(entry.kind, storage.join(folder, commit.part + PART))


def _look(
    tasks: list[Task], n: int, running: Executor, progress: Progress
) -> tuple[Counts, Counts]:
    seen = {READ: nothing(), WRITTEN: nothing()}
    with progress.show("distinct", len(tasks)) as bar:
        for task, found in running.map(Look(n), tasks):
            seen[task.kind] = merged(seen[task.kind], found)
            bar.step([])
    return counts(seen[READ]), counts(seen[WRITTEN])


def _told(read: Counts, written: Counts, n: int) -> str:
    names = ("records", "distinct texts", "distinct images", f"distinct {n}-grams of words")
    rows = [
        (name, before, after, f"{after / before:.1%}" if before else "")
        for name, before, after in zip(names, read, written, strict=True)
    ]
    error = f"Distinct numbers are estimates; their standard error is {STANDARD_ERROR:.2%}."
    return f"{table(('', 'read', 'written', 'left'), rows)}\n\n{error}"
