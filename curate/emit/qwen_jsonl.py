"""Files for Qwen's fine-tuning: a line of JSON for each record, and its media in a folder.

Two rules of the loader (QwenLM/Qwen3-VL, `qwen-vl-finetune/qwenvl/data/data_processor.py`) matter
here. The loader reads every turn that is not "human" as a turn of the assistant, so a system turn
is not possible. And it reads every `<image>` or `<video>` in a human turn as the next image or
video, even if the tag is part of the text. A record that the loader would misread, or with such a
tag in the text of any turn, is quarantined with the reason. In the loader's registry, `data_path`
is the folder and each shard is an `annotation_path`.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np
import orjson
import pyarrow as pa

from curate.emit.messages import messages
from curate.emit.names import Names
from curate.emit.payload import read_blocks
from curate.emit.shard import Job, Quarantined, ShardCommit, quarantined
from manifests import storage
from manifests.errors import RowError
from manifests.record.segments import MEDIA_KINDS, shown_media
from manifests.storage.digest import bytes_digest
from manifests.storage.file_entry import FileEntry

ENDING = ".jsonl"
MEDIA_FOLDER = "media"
TAGS = {"image": "<image>", "video": "<video>"}
SPEAKER_OF_ROLE = {"user": "human", "assistant": "gpt"}


class Conversation(NamedTuple):
    """A record in the form of Qwen's loader. `turns` are its messages. `kinds` has "image" or
    "video" for each tag `<image>` or `<video>` in the messages, in order."""

    turns: list[dict[str, str]]
    kinds: list[str]


def write(job: Job) -> ShardCommit:
    """Write one shard. The media files that a line names are written before the line."""
    media_files, written, lost = _MediaFiles(job.folder), 0, list[Quarantined]()
    with storage.writing(job.uri(ENDING)) as sink:
        for table in job.tables:
            faults = _write_table(table, job, sink, media_files)
            written += table.num_rows - len(faults)
            lost += quarantined(table, sorted(faults.items()))
    return ShardCommit(
        number=job.number,
        rows=written,
        files=[sink.entry(job.name(ENDING), written), *media_files.entries],
        quarantined=lost,
    )


def _write_table(
    given: pa.Table, job: Job, sink: storage.Sink, media_files: _MediaFiles
) -> dict[int, RowError]:
    """Write a line for each row of `given`. Returns, by row number, the errors of rows that were
    not written."""
    found, faults = _conversations(given)
    numbers, conversations = list(found), list(found.values())
    table = given.take(pa.array(numbers, pa.int64()))
    shown = shown_media(table, *MEDIA_KINDS)
    names, ids = Names.from_table(table, shown), table["id"].to_pylist()
    row_bytes = np.zeros(len(conversations), np.int64)
    for block in read_blocks(shown, row_bytes, job.media, job.settings):
        faults |= {numbers[row]: error for row, error in block.faults.items()}
        block_names = names.read(block).to_pylist()
        for row in block.valid_rows:
            paths = [
                media_files.write(block_names[n - block.first], block.media_bytes(n))
                for n in range(shown.offsets[row], shown.offsets[row + 1])
            ]
            sink.write(_line(ids[row], conversations[row], paths))
    return faults


def _conversations(table: pa.Table) -> tuple[dict[int, Conversation], dict[int, RowError]]:
    """Returns two dicts by row number: the conversations of the records, and the errors of records
    that Qwen's loader would misread."""
    found, faults = dict[int, Conversation](), dict[int, RowError]()
    for number, row_messages in enumerate(messages(table).to_pylist()):
        try:
            found[number] = conversation(row_messages)
        except RowError as error:
            faults[number] = error
    return found, faults


def conversation(messages: list[dict[str, Any]]) -> Conversation:
    """Converts the messages of a record to the form of Qwen's loader. Raises RowError if there are
    none, if the loader would misread them, or if the text of any turn has a tag."""
    if not messages:
        raise RowError("the record has neither text nor media")
    turns = [{"from": _speaker(m["role"]), "value": _value(m)} for m in messages]
    items = (item["type"] for message in messages for item in message["content"])
    return Conversation(turns, [kind for kind in items if kind in TAGS])


def _speaker(role: str) -> str:
    if role not in SPEAKER_OF_ROLE:
        raise RowError(
            f"the record has a turn of the role {role}, which Qwen's loader would read as a "
            "turn of the assistant"
        )
    return SPEAKER_OF_ROLE[role]


def _value(message: dict[str, Any]) -> str:
    for item in message["content"]:
        if item["type"] in TAGS and message["role"] != "user":
            raise RowError(
                f"an assistant turn contains {item['type']}s, which only user turns may contain"
            )
        for tag in TAGS.values():
            if tag in (item["text"] or ""):
                raise RowError(
                    f"the text contains {tag}, which Qwen's loader would read as a "
                    "placeholder of an image or video"
                )
    return "\n".join(TAGS.get(item["type"]) or item["text"] for item in message["content"])


def _line(record_id: str, conversation: Conversation, paths: list[str]) -> bytes:
    line: dict[str, Any] = {"id": record_id}
    for kind in TAGS:
        found = [path for path, k in zip(paths, conversation.kinds, strict=True) if k == kind]
        if found:
            line[kind] = found[0] if len(found) == 1 else found
    return orjson.dumps(line | {"conversations": conversation.turns}) + b"\n"


class _MediaFiles:
    """Writes the media files of a shard, in 256 folders so that no folder has too many files."""

    def __init__(self, folder: str) -> None:
        self._folder, self._made = folder, set[str]()
        self.entries: list[FileEntry] = []

    def write(self, name: str, data: memoryview) -> str:
        """Write a media file of the shard under the given file name; returns its path relative to
        the folder of the shards."""
        subfolder = storage.join(MEDIA_FOLDER, name[:2])
        if subfolder not in self._made:
            storage.make_folder(storage.join(self._folder, subfolder))
            self._made.add(subfolder)
        path = storage.join(subfolder, name)
        _write(storage.join(self._folder, path), data)
        entry = FileEntry(name=path, rows=0, size_bytes=len(data), digest=bytes_digest(data))
        self.entries.append(entry)
        return path


def _write(uri: str, data: memoryview) -> None:
    """Write a media file under its final name, without a temporary file. A file that is cut off
    does no harm, because a reader opens only files that a line of the JSONL names."""
    if storage.is_remote(uri):
        storage.write_bytes(uri, bytes(data))
        return
    with storage.storage_errors(uri), open(uri, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
