"""`curate distinct`: estimate how many different texts, images and n-grams a run read and wrote."""

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
from curate.engine.progress import Progress
from curate.inspect.distinct import (
    STANDARD_ERROR,
    Counts,
    Sketch,
    counts,
    empty_sketch,
    merged,
    sketch_of,
)
from manifests import storage
from manifests.run import manifest
from manifests.run.file_names import PART
from manifests.step import Executor
from manifests.storage import parts

READ, WRITTEN = "read", "order"
"""The kinds of the two passes whose records are counted. A part of a READ pass has the records as
they were read; a part of a WRITTEN pass has the records that are written to the shards."""


class Task(NamedTuple):
    """One file of records, whose texts, images and n-grams are counted. `uri` is the path of the
    file. `kind` is READ or WRITTEN: whether the run read or wrote the records."""

    kind: str
    uri: str


@dataclass(frozen=True)
class SketchPart:
    """Counts the different texts, images and n-grams in one file of records, on a worker. The
    result is a sketch (HyperLogLog registers), from which the number of different contents is
    estimated. `n` is the number of words in an n-gram."""

    n: int

    def __call__(self, task: Task) -> Sketch:
        sketch = empty_sketch()
        rows = parts.read_columns(task.uri, ("content", "media"))
        for start in range(0, rows.num_rows, BATCH_ROWS):
            batch = rows.slice(start, BATCH_ROWS).combine_chunks()
            sketch = merged(sketch, sketch_of(batch, self.n))
        return sketch


def main(options: argparse.Namespace) -> int:
    tasks = list(_tasks(storage.absolute(options.run)))  # workers may have another folder
    with executor(options) as running:
        read, written = _count(tasks, options.ngram, running, Progress(options.quiet))
    if options.json:
        found = {"read": read._asdict(), "written": written._asdict()}
        settings = {"ngram": options.ngram, "standard_error": STANDARD_ERROR}
        print(json.dumps({**settings, **found}, indent=1))
    else:
        print(_summary(read, written, options.ngram))
    return OK


def _tasks(out: str) -> Iterator[Task]:
    for entry in manifest.load_run(out).passes:
        if entry.kind in (READ, WRITTEN):
            folder = storage.join(out, entry.folder)
            for commit in manifest.load_pass_of(out, entry).parts:
                if commit.rows:
                    yield Task(entry.kind, storage.join(folder, commit.part + PART))


def _count(
    tasks: list[Task], n: int, running: Executor, progress: Progress
) -> tuple[Counts, Counts]:
    sketches = {READ: empty_sketch(), WRITTEN: empty_sketch()}
    with progress.show("distinct", len(tasks)) as bar:
        for task, found in running.map(SketchPart(n), tasks):
            sketches[task.kind] = merged(sketches[task.kind], found)
            bar.step([])
    return counts(sketches[READ]), counts(sketches[WRITTEN])


def _summary(read: Counts, written: Counts, n: int) -> str:
    names = ("records", "distinct texts", "distinct images", f"distinct {n}-grams of words")
    rows = [
        (name, before, after, f"{after / before:.1%}" if before else "")
        for name, before, after in zip(names, read, written, strict=True)
    ]
    error = f"Distinct numbers are estimates; their standard error is {STANDARD_ERROR:.2%}."
    return f"{table(('', 'read', 'written', 'left'), rows)}\n\n{error}"
