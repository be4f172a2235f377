"""The formats of shards: `write` writes one shard, and `finish` then writes the files that belong
to all shards of a format together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from curate.emit import arrow, keep_list, qwen_jsonl, rows, shard_set, webdataset
from curate.emit.settings import FormatName
from curate.emit.shard import Job, Quarantined, ShardCommit, quarantined
from curate.emit.shard_set import ShardSet
from manifests import storage
from manifests.errors import ManifestError, RowError
from manifests.storage.file_entry import FileEntry

Finish = Callable[[str, list[ShardCommit], str], list[FileEntry]]
"""The type of a function that writes the files for all shards together. Its arguments are the
folder, the commits of all shards in order, and the run's fingerprint. It returns the entries of the
files that it wrote."""


def _no_files(folder: str, commits: list[ShardCommit], fingerprint: str) -> list[FileEntry]:
    return []


class Format(NamedTuple):
    """Two functions: `write` writes one shard, and `finish` writes further files once all shards
    exist."""

    write: Callable[[Job], ShardCommit]
    finish: Finish = _no_files


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
"""The name of each format's folder inside the folder of a run."""


def write(name: FormatName, job: Job) -> ShardCommit:
    """Write one shard in the format `name`. If an earlier attempt has written the shard, it is
    overwritten. Every row of the shard is written or quarantined."""
    storage.make_folder(job.folder)
    given, lost = 0, list[Quarantined]()

    def valid() -> Iterator[pa.Table]:
        nonlocal given
        for table in job.tables:
            given += table.num_rows
            faults = rows.faults(table)
            errors = [(n, RowError(f)) for n, f in enumerate(faults.to_pylist()) if f is not None]
            lost.extend(quarantined(table, errors))
            yield table.filter(pc.is_null(faults)) if errors else table

    commit = FORMATS[name].write(job._replace(tables=valid()))
    lost += commit.quarantined
    assert commit.rows + len(lost) == given, "a row was lost, or written twice"
    return commit.model_copy(update={"quarantined": lost})


def finish(
    name: FormatName, folder: str, commits: list[ShardCommit], fingerprint: str
) -> list[FileEntry]:
    """Write the files that belong to all shards together, then the manifest that lists all files.
    `commits` are the results of writing the shards, in order. `fingerprint` identifies the settings
    of the run."""
    numbers = [commit.number for commit in commits]
    if numbers != list(range(len(commits))):
        raise ManifestError(
            f"some shards are missing: only the shards with the numbers {numbers} were written",
            folder,
        )
    beside = FORMATS[name].finish(folder, commits, fingerprint)
    shards = ShardSet(
        format=name,
        fingerprint=fingerprint,
        rows=sum(commit.rows for commit in commits),
        size_bytes=sum(commit.size_bytes for commit in commits),
        quarantined=sum(len(commit.quarantined) for commit in commits),
        shards=commits,
        beside=beside,
    )
    return [*beside, shard_set.save(folder, shards)]
