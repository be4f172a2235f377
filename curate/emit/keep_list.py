"""Keep lists: the uids of the surviving records, as DataComp's `resharder.py` reads them.

Each shard is written to a file with the uids of its own records. Then `keep_list.npy` is written
with the uids of all shards: sorted, and each uid once.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from curate.emit.shard import Job, Quarantined, ShardCommit, quarantined
from manifests import storage
from manifests.errors import RowError
from manifests.record.meta_uid import meta_uid
from manifests.storage.digest import file_digest
from manifests.storage.file_entry import FileEntry
from manifests.storage.keep_list import (
    DTYPE,
    is_uid,
    parse_uids,
    read_keep_list,
    write_keep_list,
)

ENDING = ".npy"
NAME = "keep_list.npy"


def write(job: Job) -> ShardCommit:
    """Write the uids of one shard's rows; a row whose meta has no uid, or one that is not 32 hex
    digits, is quarantined."""
    found, lost = [np.empty(0, DTYPE)], list[Quarantined]()
    for table in job.tables:
        uids = pa.array([_uid(meta) for meta in table["meta"].to_pylist()], pa.string())
        valid = is_uid(uids).fill_null(False)
        found.append(parse_uids(uids.filter(valid)))
        invalid = np.flatnonzero(~np.asarray(valid)).tolist()
        faults = ((row, RowError(_fault(uids[row].as_py()))) for row in invalid)
        lost += quarantined(table, faults)
    written = np.concatenate(found)
    distinct = write_keep_list(job.uri(ENDING), written)
    return ShardCommit(
        number=job.number,
        rows=len(written),
        files=[_entry(job.folder, job.name(ENDING), distinct)],
        quarantined=lost,
    )


def finish(folder: str, commits: list[ShardCommit], fingerprint: str) -> list[FileEntry]:
    """Merge the uid lists of all shards into `keep_list.npy`, in memory. This needs 16 bytes for
    each uid, and 16 more for sorting."""
    names = [entry.name for commit in commits for entry in commit.files]
    lists = [read_keep_list(storage.join(folder, name)) for name in names]
    uids = np.concatenate([np.empty(0, DTYPE), *lists])
    return [_entry(folder, NAME, write_keep_list(storage.join(folder, NAME), uids))]


def _uid(meta: str | None) -> str | None:
    try:
        return meta_uid(meta)
    except RowError:
        return None


def _fault(uid: str | None) -> str:
    if uid is None:
        return "the record's `meta` has no `uid`, so the record cannot be in a keep list"
    return (
        f"the uid {uid} of the record is not 32 hex digits, so the record cannot be in a keep list"
    )


def _entry(folder: str, name: str, rows: int) -> FileEntry:
    path = storage.join(folder, name)
    stat = storage.size_and_stamp(path)
    assert stat is not None, "just written"
    return FileEntry(name=name, rows=rows, size_bytes=stat[0], digest=file_digest(path))
