"""The formats shards come in: one task writes one shard, and a last step what lies beside them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pyarrow.compute as pc

from curate.emit import arrow, keep_list, qwen_jsonl, rows, shard_set, webdataset
from curate.emit.settings import FormatName
from curate.emit.shard import Job, ShardCommit, quarantined
from curate.emit.shard_set import ShardSet
from manifests import storage
from manifests.errors import ManifestError, RowError
from manifests.run.manifest import FileEntry

Finish = Callable[[str, list[ShardCommit], str], list[FileEntry]]
"""Given the folder, all commits in order and the run's fingerprint: the files it wrote there."""


def _nothing_beside(folder: str, commits: list[ShardCommit], fingerprint: str) -> list[FileEntry]:
    return []


class Format(NamedTuple):
    """How one shard is written, and what is written when all of them are there."""

    write: Callable[[Job], ShardCommit]
    finish: Finish = _nothing_beside


FORMATS: dict[FormatName, Format] = {
    "arrow": Format(arrow.write, arrow.finish),
    "jsonl": Format(qwen_jsonl.write),
    "webdataset": Format(webdataset.write),
    "keep_list": Format(keep_list.write, keep_list.finish),
}
FOLDERS: dict[FormatName, str] = {
    "arrow": "shards",
    "jsonl": "jsonl",
    "webdataset": "webdataset",
    "keep_list": "keep_list",
}
"""Where each format's shards lie in the folder of a run."""


def write(name: FormatName, job: Job) -> ShardCommit:
    """Write one shard; safe to repeat. Every row is either in it or among the quarantined."""
    storage.make_folder(job.folder)
    why = rows.faults(job.table)
    sound = job._replace(table=job.table.filter(pc.is_null(why)))
    written = FORMATS[name].write(sound)
    broken = ((n, RowError(w)) for n, w in enumerate(why.to_pylist()) if w is not None)
    lost = [*quarantined(job.table, broken), *written.quarantined]
    assert written.rows + len(lost) == job.table.num_rows, "a row was lost, or written twice"
    return written.model_copy(update={"quarantined": lost})


def finish(
    name: FormatName, folder: str, commits: list[ShardCommit], fingerprint: str
) -> list[FileEntry]:
    """Write what the format's readers need beside the shards, then the manifest of them all."""
    numbers = [commit.number for commit in commits]
    if numbers != list(range(len(commits))):
        raise ManifestError(f"the shards are numbered {numbers}", folder, "Some are missing.")
    beside = FORMATS[name].finish(folder, commits, fingerprint)
    whole = ShardSet(
        format=name,
        fingerprint=fingerprint,
        rows=sum(commit.rows for commit in commits),
        size_bytes=sum(commit.size_bytes for commit in commits),
        quarantined=sum(len(commit.quarantined) for commit in commits),
        shards=commits,
        beside=beside,
    )
    return [*beside, shard_set.save(folder, whole)]
