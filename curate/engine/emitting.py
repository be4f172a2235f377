"""The last passes: order all rows by a seeded hash, then write shards, one pass a format."""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa

from curate.emit import formats, order
from curate.emit.settings import FormatName, Shards
from curate.emit.shard import Job, ShardCommit
from curate.engine.passes import PART, Setting
from curate.engine.planned import PlannedStep, part_schema
from curate.engine.rows import QUARANTINED
from curate.engine.view import View
from manifests import storage
from manifests.media import Media
from manifests.run import manifest
from manifests.run.fingerprint import fingerprint
from manifests.run.ledger import Account, check
from manifests.run.manifest import Commit
from manifests.storage import parts

BATCH_ROWS = 1 << 16


class OrderTask(NamedTuple):
    """Sort one part for `shards` shards. `first`: rows of the parts before it, of `rows` in all."""

    view: View
    token: str
    first: int
    rows: int
    shards: int


@dataclass(frozen=True)
class OrderPass:
    """Each part sorted, and cut into one record batch a shard."""

    steps: list[PlannedStep]
    seed: int
    shuffle: bool
    folder: str

    def __call__(self, task: OrderTask) -> Commit:
        name = task.view.name
        storage.delete(storage.join(self.folder, f"{name}.json"))
        schema = part_schema(self.steps)
        table = pa.concat_tables([schema.empty_table(), *task.view.read(BATCH_ROWS)])
        if self.shuffle:
            pieces = order.bucket(table, self.seed, task.shards)
        else:
            pieces = order.cut(table, task.first, task.rows, task.shards)
        entry = parts.write(storage.join(self.folder, name + PART), pieces[0].schema, pieces)
        commit = Commit(
            part=name,
            inputs_digest=task.token,
            origin=task.view.origin,
            rows=table.num_rows,
            files=[entry],
        )
        manifest.save(commit, storage.join(self.folder, f"{name}.json"))
        return commit


class ShardTask(NamedTuple):
    """Write shard `number` of `shards` from its batch of every sorted part."""

    part: str
    token: str
    number: int
    shards: int
    sorted_parts: tuple[str, ...]


@dataclass(frozen=True)
class ShardPass:
    """All shards of one format."""

    setting: Setting
    settings: Shards
    format: FormatName
    folder: str
    place: str

    def __call__(self, task: ShardTask) -> Commit:
        storage.delete(storage.join(self.folder, f"{task.part}.json"))
        table = order.gather(task.sorted_parts, task.number)
        with contextlib.closing(self._media()) as media:
            job = Job(self.place, task.number, task.shards, table, media, self.settings)
            written = formats.write(self.format, job)
        commit = Commit(
            part=task.part,
            inputs_digest=task.token,
            origin=f"shard {task.number} of {task.shards}",
            rows=written.rows,
            files=written.files,
            ledger=[_account(self.format, table.num_rows, written)],
            detail=written.model_dump(mode="json"),
        )
        check(commit.ledger, commit.origin)
        manifest.save(commit, storage.join(self.folder, f"{task.part}.json"))
        return commit

    def _media(self) -> Media:
        return Media(self.setting.base, self.setting.kept, self.setting.limits)


def _account(name: str, rows: int, written: ShardCommit) -> Account:
    errors = Counter(q.error for q in written.quarantined)
    return Account(
        step=f"write {name}",
        rows_in=rows,
        kept=written.rows,
        quarantined=dict(sorted(errors.items())),
    )


def order_tasks(views: list[View], settings: Shards) -> dict[str, OrderTask]:
    """One task a part; all know how many shards there will be."""
    rows = sum(view.rows for view in views)
    size_bytes = sum(view.media_bytes + view.text_bytes for view in views)
    count = order.shard_count(rows, size_bytes, settings)
    tasks, first = {}, 0
    for view in views:
        place = [] if settings.shuffle else [first, rows]
        token = fingerprint([view.token, count, place])
        tasks[view.name] = OrderTask(view, token, first, rows, count)
        first += view.rows
    return tasks


def shard_tasks(mark: str, folder: str, commits: list[Commit], count: int) -> dict[str, ShardTask]:
    """One task a shard: each depends on every sorted part. `mark`: the pass's fingerprint."""
    uris = tuple(storage.join(folder, commit.part + PART) for commit in commits)
    token = fingerprint([mark, count, [[commit.part, commit.digest] for commit in commits]])
    names = [f"data-{number:05d}-of-{count:05d}" for number in range(count)]
    return {name: ShardTask(name, token, n, count, uris) for n, name in enumerate(names)}


def quarantined(commit: Commit) -> pa.Table:
    """What could not be written to a shard, as rows of the quarantine."""
    lost = ShardCommit.model_validate(commit.detail).quarantined
    rows = [{**q._asdict(), "step": commit.ledger[0].step} for q in lost]
    return pa.Table.from_pylist(rows, schema=QUARANTINED)
