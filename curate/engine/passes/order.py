"""The pass that sorts the rows of every part by a seeded hash, or keeps their order if the recipe
says so, and cuts them into one record batch for each shard."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import pyarrow as pa

from curate.emit import order
from curate.emit.settings import Shards
from curate.engine import part_files
from curate.engine.part_view import PartView
from curate.engine.passes.contract import Pass, RunContext, SortedParts, State
from curate.engine.planned import PlannedStep, part_schema
from manifests import storage
from manifests.run.file_names import PART
from manifests.run.fingerprint import fingerprint
from manifests.run.manifest import Commit
from manifests.storage import parts

BATCH_ROWS = 1 << 16
"""Rows that are read at once (our choice)."""


class OrderTask(NamedTuple):
    """A task that puts the rows of one part (`view`) in order, and cuts them into `shards` record
    batches, one for each shard.

    `first` is the number of rows in all parts before this part, and `rows` the number of rows in
    all parts. `inputs_digest` is the digest of everything that the result depends on.
    """

    view: PartView
    inputs_digest: str
    first: int
    rows: int
    shards: int

    @property
    def part(self) -> str:
        return self.view.name


@dataclass(frozen=True)
class OrderPass(Pass[OrderTask]):
    """Sorts the rows of all parts into the order of the shards. `before` lists the steps that ran
    earlier and added columns."""

    kind: ClassVar[str] = "order"

    before: list[PlannedStep]
    settings: Shards
    seed: int

    def tasks(self, run: RunContext, state: State) -> list[OrderTask]:
        rows = sum(view.rows for view in state.parts)
        shards = self._shard_count(state.parts)
        tasks, first = [], 0
        for view in state.parts:
            place = [] if self.settings.shuffle else [first, rows]
            digest = fingerprint([view.digest, shards, place])
            tasks.append(OrderTask(view, digest, first, rows, shards))
            first += view.rows
        return tasks

    def _shard_count(self, views: tuple[PartView, ...]) -> int:
        rows = sum(view.rows for view in views)
        size_bytes = sum(view.media_bytes + view.text_bytes for view in views)
        return order.shard_count(rows, size_bytes, self.settings)

    def work(self, run: RunContext, tasks: Iterable[OrderTask]) -> Iterator[Commit]:
        schema = part_schema(self.before)
        sort = SortPart(schema, self.seed, self.settings.shuffle, self.folder(run))
        return (commit for _, commit in run.executor.map(sort, tasks))

    def after(self, run: RunContext, state: State, commits: list[Commit]) -> State:
        count = self._shard_count(state.parts)
        return state._replace(sorted=SortedParts(self.folder(run), tuple(commits), count))


@dataclass(frozen=True)
class SortPart:
    """A function for a worker: sorts the rows of one part, if `shuffle` is true, and cuts them into
    one batch for each shard."""

    schema: pa.Schema
    seed: int
    shuffle: bool
    folder: str

    def __call__(self, task: OrderTask) -> Commit:
        view = task.view
        storage.delete(part_files.commit_uri(self.folder, view.name))
        table = pa.concat_tables([self.schema.empty_table(), *view.read(BATCH_ROWS)])
        if self.shuffle:
            pieces = order.bucket(table, self.seed, task.shards)
        else:
            pieces = order.cut(table, task.first, task.rows, task.shards)
        uri = storage.join(self.folder, view.name + PART)
        commit = Commit(
            part=view.name,
            inputs_digest=task.inputs_digest,
            origin=view.origin,
            rows=table.num_rows,
            files=[parts.write(uri, pieces[0].schema, pieces)],
        )
        part_files.save_commit(self.folder, commit)
        return commit
