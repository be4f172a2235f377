"""Keep-lists: the uids of the surviving records, as DataComp's `resharder.py` reads them.

Each shard is a list of its own; `keep_list.npy` is all of them, sorted, each uid once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from curate.emit.shard import Job, ShardCommit, quarantined
from manifests import storage
from manifests.errors import RowError
from manifests.run.fingerprint import file_digest
from manifests.run.manifest import FileEntry
from manifests.storage.keep_list import DTYPE, is_uid, read_keep_list, write_keep_list

ENDING = ".npy"
NAME = "keep_list.npy"


def write(job: Job) -> ShardCommit:
    """The uids of one shard's rows; a row whose meta has none is quarantined."""
    uids = pa.array([_uid(meta) for meta in job.table["meta"].to_pylist()], pa.string())
    proper = is_uid(uids).fill_null(False)
    written = uids.filter(proper)
    distinct = write_keep_list(job.uri(ENDING), written)
    lacking = np.flatnonzero(~np.asarray(proper)).tolist()
    faults = ((row, RowError(_lack(uids[row].as_py()))) for row in lacking)
    return ShardCommit(
        number=job.number,
        rows=len(written),
        files=[_entry(job.folder, job.name(ENDING), distinct)],
        quarantined=quarantined(job.table, faults),
    )


def finish(folder: str, commits: list[ShardCommit], fingerprint: str) -> list[FileEntry]:
    """Merge the lists of all shards, in memory: 16 bytes a uid, and as much again to sort."""
    names = [entry.name for commit in commits for entry in commit.files]
    lists = [read_keep_list(storage.join(folder, name)) for name in names]
    uids = np.concatenate([np.empty(0, DTYPE), *lists])
    uids = uids[np.lexsort((uids["f1"], uids["f0"]))]
    first = np.ones(len(uids), bool)
    first[1:] = uids[1:] != uids[:-1]
    with storage.writing(storage.join(folder, NAME)) as sink:
        np.lib.format.write_array(sink, uids[first], allow_pickle=False)
    return [_entry(folder, NAME, int(first.sum()))]


def _uid(meta: str | None) -> str | None:
    try:
        found: Any = orjson.loads(meta) if meta else None
    except orjson.JSONDecodeError:
        found = None
    uid = found.get("uid") if isinstance(found, dict) else None
    return uid if uid is None or isinstance(uid, str) else orjson.dumps(uid).decode()


def _lack(uid: str | None) -> str:
    if uid is None:
        return "its meta has no `uid`, so a keep-list cannot name it"
    return f"uid {uid} is not 32 hex digits, so a keep-list cannot name it"


def _entry(folder: str, name: str, rows: int) -> FileEntry:
    place = storage.join(folder, name)
    found = storage.size_and_stamp(place)
    assert found is not None, "just written"
    return FileEntry(name=name, rows=rows, size_bytes=found[0], digest=file_digest(place))
