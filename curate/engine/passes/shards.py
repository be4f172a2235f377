"""The pass that writes the shards of one format, and the further files that data loaders need."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import pyarrow as pa

from curate.emit import formats, order
from curate.emit.settings import FormatName, Shards
from curate.emit.shard import Job, ShardCommit
from curate.engine import part_files
from curate.engine.media_options import MediaOptions
from curate.engine.outcomes import QUARANTINED
from curate.engine.passes.contract import Pass, RunContext, State
from manifests import storage
from manifests.run.file_names import PART
from manifests.run.fingerprint import fingerprint
from manifests.run.ledger import Account, check
from manifests.run.manifest import Commit, ShardsEntry


class ShardTask(NamedTuple):
    """A task that writes shard `number` of `shards`. The rows of the shard are in record batch
    `number` of every file in `sorted_parts`; `inputs_digest` is a digest of these files."""

    part: str
    inputs_digest: str
    number: int
    shards: int
    sorted_parts: tuple[str, ...]


@dataclass(frozen=True)
class ShardsPass(Pass[ShardTask]):
    """Writes all shards of one format."""

    kind: ClassVar[str] = "shards"
    reads_all: ClassVar[bool] = True

    format: FormatName
    settings: Shards

    @property
    def title(self) -> str:
        return f"write {self.name}"

    @property
    def folder_name(self) -> str:
        """The name of the folder of the pass. It has no fingerprint, because the shards of a format
        are always in the same folder."""
        return f"write-{self.name}"

    def files_folder(self, run: RunContext) -> str:
        return storage.join(run.out, formats.FOLDERS[self.format])

    def tasks(self, run: RunContext, state: State) -> list[ShardTask]:
        """Return one task for each shard; each task reads one record batch of every sorted part."""
        folder, commits, count = state.sorted
        uris = tuple(storage.join(folder, commit.part + PART) for commit in commits)
        inputs = [[commit.part, commit.digest] for commit in commits]
        digest = fingerprint([self.fingerprint, count, inputs])
        names = [f"data-{number:05d}-of-{count:05d}" for number in range(count)]
        return [ShardTask(name, digest, n, count, uris) for n, name in enumerate(names)]

    def work(self, run: RunContext, tasks: Iterable[ShardTask]) -> Iterator[Commit]:
        folder, shards = self.folder(run), self.files_folder(run)
        write = WriteShard(run.media, self.settings, self.format, folder, shards)
        return (commit for _, commit in run.executor.map(write, tasks))

    def quarantined(self, folder: str, commit: Commit) -> list[pa.Table]:
        return [not_written(commit)]

    def after(self, run: RunContext, state: State, commits: list[Commit]) -> State:
        written = [ShardCommit.model_validate(commit.detail) for commit in commits]
        folder = self.files_folder(run)
        files = formats.finish(self.format, folder, written, self.fingerprint)
        entry = ShardsEntry(
            folder=formats.FOLDERS[self.format],
            rows=sum(shard.rows for shard in written),
            size_bytes=sum(shard.size_bytes for shard in written),
            shards=[shard.files[0].name for shard in written if shard.files],
            files=files,
        )
        return state._replace(shards={**state.shards, self.name: entry})


@dataclass(frozen=True)
class WriteShard:
    """A function for a worker: writes one shard. The files of the shard are written to the folder
    `shards`, and the commit, which lists these files, to `folder`."""

    media: MediaOptions
    settings: Shards
    format: FormatName
    folder: str
    shards: str

    def __call__(self, task: ShardTask) -> Commit:
        storage.delete(part_files.commit_uri(self.folder, task.part))
        rows = order.gather(task.sorted_parts, task.number)
        with contextlib.closing(self.media.open()) as media:
            job = Job(
                self.shards,
                task.number,
                task.shards,
                rows.schema,
                rows.tables,
                media,
                self.settings,
            )
            written = formats.write(self.format, job)
        commit = Commit(
            part=task.part,
            inputs_digest=task.inputs_digest,
            origin=f"shard {task.number} of {task.shards}",
            rows=written.rows,
            files=written.files,
            ledger=[_account(self.format, rows.rows, written)],
            detail=written.model_dump(mode="json"),
        )
        check(commit.ledger, commit.origin)
        part_files.save_commit(self.folder, commit)
        return commit


def _account(format: FormatName, rows: int, written: ShardCommit) -> Account:
    errors = Counter(q.error for q in written.quarantined)
    return Account(
        step=f"write {format}",
        rows_in=rows,
        kept=written.rows,
        quarantined=dict(sorted(errors.items())),
    )


def not_written(commit: Commit) -> pa.Table:
    """Return the records that could not be written to a shard, as rows of the quarantine."""
    failed = ShardCommit.model_validate(commit.detail).quarantined
    more = {"step": commit.ledger[0].step, "later": False, "rows": 1}
    rows = [{**q._asdict(), **more} for q in failed]
    return pa.Table.from_pylist(rows, schema=QUARANTINED)
