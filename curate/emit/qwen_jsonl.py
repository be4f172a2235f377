"""Qwen's fine-tuning files: a line a record, its media beside it in their original bytes.

Their loader (QwenLM/Qwen3-VL, `qwen-vl-finetune/qwenvl/data/data_processor.py`) takes every turn
that is not "human" for the assistant's, so it has no place for a system turn; and every `<image>`
or `<video>` in a human turn for the next image or video, whoever wrote it. What it would misread
cannot be told to it: such a record is quarantined with the reason. For its registry, `data_path`
is the folder, and every shard is one `annotation_path`.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np
import orjson
import pyarrow as pa
import xxhash

from curate.emit import rows
from curate.emit.names import Names
from curate.emit.payload import runs
from curate.emit.shard import Job, ShardCommit, quarantined
from manifests import storage
from manifests.errors import RowError
from manifests.run.manifest import FileEntry

ENDING = ".jsonl"
MEDIA_FOLDER = "media"
TAGS = {"image": "<image>", "video": "<video>"}
SPEAKERS = {"user": "human", "assistant": "gpt"}


class Told(NamedTuple):
    """A record as the loader takes it. `kinds`: of its media, in the order of their tags."""

    turns: list[dict[str, str]]
    kinds: list[str]


def write(job: Job) -> ShardCommit:
    """One shard: the media files of a line are there before the line is."""
    told, faults = _told(job.table)
    numbers, lines = list(told), list(told.values())
    table = job.table.take(pa.array(numbers, pa.int64()))
    shown = rows.mentions(table, *rows.MEDIA_KINDS)
    names, ids, beside = Names.of(table, shown), table["id"].to_pylist(), _Beside(job.folder)
    nothing = np.zeros(len(lines), np.int64)
    with storage.writing(job.uri(ENDING)) as sink:
        for run in runs(shown, nothing, job.media, job.settings):
            faults |= {numbers[row]: error for row, error in run.faults.items()}
            named = names.read(run).to_pylist()
            for row in run.sound_rows:
                media = range(shown.offsets[row], shown.offsets[row + 1])
                paths = [beside.write(named[m - run.first], run.piece(m)) for m in media]
                sink.write(_line(ids[row], lines[row], paths))
    written = job.table.num_rows - len(faults)
    return ShardCommit(
        number=job.number,
        rows=written,
        files=[job.entry(ENDING, written, sink), *beside.files],
        quarantined=quarantined(job.table, sorted(faults.items())),
    )


def _told(table: pa.Table) -> tuple[dict[int, Told], dict[int, RowError]]:
    """The conversations of the rows that have one, and what is wrong with the others."""
    told, faults = dict[int, Told](), dict[int, RowError]()
    for number, messages in enumerate(rows.messages(table).to_pylist()):
        try:
            told[number] = conversation(messages)
        except RowError as error:
            faults[number] = error
    return told, faults


def conversation(messages: list[dict[str, Any]]) -> Told:
    """The turns of a record. Raises RowError where the loader would take them for others."""
    if not messages:
        raise RowError("it says nothing, and shows nothing")
    turns = [{"from": _speaker(m["role"]), "value": _value(m)} for m in messages]
    items = (item["type"] for message in messages for item in message["content"])
    return Told(turns, [kind for kind in items if kind in TAGS])


def _speaker(role: str) -> str:
    if role not in SPEAKERS:
        raise RowError(f"it has a {role} turn, which Qwen's loader takes for the assistant's")
    return SPEAKERS[role]


def _value(message: dict[str, Any]) -> str:
    for item in message["content"]:
        if item["type"] in TAGS and message["role"] != "user":
            raise RowError(f"the assistant shows {item['type']}s, which only a human turn may")
        for tag in TAGS.values():
            if tag in (item["text"] or ""):
                raise RowError(f"its text says {tag}, which Qwen's loader takes for a medium")
    return "\n".join(TAGS.get(item["type"]) or item["text"] for item in message["content"])


def _line(record_id: str, told: Told, paths: list[str]) -> bytes:
    line: dict[str, Any] = {"id": record_id}
    for kind in TAGS:
        of_kind = [path for path, k in zip(paths, told.kinds, strict=True) if k == kind]
        if of_kind:
            line[kind] = of_kind[0] if len(of_kind) == 1 else of_kind
    return orjson.dumps(line | {"conversations": told.turns}) + b"\n"


class _Beside:
    """The media files of a shard, in 256 folders so that none grows too large."""

    def __init__(self, folder: str) -> None:
        self._folder, self._made = folder, set[str]()
        self.files: list[FileEntry] = []

    def write(self, name: str, data: memoryview) -> str:
        """Write a file; returns its path from the shard's folder."""
        within = storage.join(MEDIA_FOLDER, name[:2])
        if within not in self._made:
            storage.make_folder(storage.join(self._folder, within))
            self._made.add(within)
        path = storage.join(within, name)
        _write(storage.join(self._folder, path), data)
        digest = f"xxh128:{xxhash.xxh3_128_hexdigest(data)}"
        self.files.append(FileEntry(name=path, rows=0, size_bytes=len(data), digest=digest))
        return path


def _write(uri: str, data: memoryview) -> None:
    """Write a file under its final name at once: nothing counts before the line that names it."""
    if storage.is_remote(uri):
        storage.write_bytes(uri, bytes(data))
        return
    with storage.storage_errors(uri), open(uri, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
