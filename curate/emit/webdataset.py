"""WebDataset shards: KEY.jpg (or KEY.0.jpg, KEY.1.jpg, ...), KEY.txt and KEY.json.

The key is the record's id. KEY.txt has all text of the record; there is no such file if the record
has no text. KEY.json has the conversation, in which a literal `<image>` is distinct from an image,
and the other columns of an Arrow shard. Videos are members like images.

Usually the user shows images and asks, and only the assistant's text is trained on (`loss`). For
any other record, KEY.json also has the role and the loss of each segment, in the order of the parts
of `messages`: `"segments": {"role": [null, null], "loss": [false, true]}`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from curate.emit import rows
from curate.emit.names import Names
from curate.emit.payload import read_blocks
from curate.emit.shard import Job, Quarantined, ShardCommit, quarantined
from curate.emit.tar_header import END, header, padding
from manifests import storage
from manifests.errors import RowError
from manifests.record import texts
from manifests.record.segments import MEDIA_KINDS, Segments, row_offsets, shown_media

ENDING = ".tar"
_TEXT_ROLES = ("system", "assistant")


def write(job: Job) -> ShardCommit:
    """Write one shard as a tar file. Its bytes depend only on the rows."""
    written, lost = 0, list[Quarantined]()
    with storage.writing(job.uri(ENDING)) as sink:
        for table in job.tables:
            faults = _write_table(table, job, sink)
            written += table.num_rows - len(faults)
            lost += quarantined(table, faults.items())
        sink.write(END)
    return ShardCommit(
        number=job.number,
        rows=written,
        files=[sink.entry(job.name(ENDING), written)],
        quarantined=lost,
    )


def _write_table(table: pa.Table, job: Job, sink: storage.Sink) -> dict[int, RowError]:
    """Write the tar members of each row of the table. Returns, by row number, the errors of rows
    that were not written."""
    shown = shown_media(table, *MEDIA_KINDS)
    names, columns = Names.from_table(table, shown), _columns(table, job)
    faults: dict[int, RowError] = {}
    row_bytes = np.zeros(table.num_rows, np.int64)
    for block in read_blocks(shown, row_bytes, job.media, job.settings):
        faults |= block.faults
        block_names = names.read(block).to_pylist()
        block_rows = columns.slice(block.start, block.stop - block.start).to_pylist()
        for row in block.valid_rows:
            media = [
                (block_names[n - block.first], block.media_bytes(n))
                for n in range(shown.offsets[row], shown.offsets[row + 1])
            ]
            for piece in _tar_bytes(members(block_rows[row - block.start], media)):
                sink.write(piece)
    return faults


def _tar_bytes(files: Iterator[tuple[str, bytes | memoryview]]) -> Iterator[bytes | memoryview]:
    """Yields the bytes of tar members in few pieces. The bytes of an image or video are one piece,
    which is not copied; all bytes between two images or videos are joined into one piece."""
    between = b""
    for name, data in files:
        between += header(name, len(data))
        if isinstance(data, bytes):
            between += data
        else:
            yield from (between, data)
            between = b""
        between += padding(len(data))
    yield between


def members(
    row: dict[str, Any], media: list[tuple[str, memoryview]]
) -> Iterator[tuple[str, bytes | memoryview]]:
    """Yields the names and contents of a row's tar members. `media` are the names and bytes of its
    media."""
    key, text = row["id"], row.pop("text")
    _state_segments(row)
    for number, (name, data) in enumerate(media):
        ending = name.rpartition(".")[2]
        yield f"{key}.{number}.{ending}" if len(media) > 1 else f"{key}.{ending}", data
    if text is not None:
        yield f"{key}.txt", text.encode()
    yield f"{key}.json", orjson.dumps(row | {"meta": _parsed(row["meta"])}, default=bytes.hex)


def _state_segments(row: dict[str, Any]) -> None:
    """Moves the columns `role` and `loss` of a row into `segments`, or removes them if they are the
    usual ones: a user shows images and asks, and only the assistant's text is trained on."""
    stated = {"role": row.pop("role"), "loss": row.pop("loss")}
    parts = [(m["role"], item["type"]) for m in row["messages"] for item in m["content"]]
    loss = [role == "assistant" and kind == "text" for role, kind in parts]
    is_usual = all(role == "user" or (role in _TEXT_ROLES and k == "text") for role, k in parts)
    if not is_usual or stated != {"role": [role for role, _ in parts], "loss": loss}:
        row["segments"] = stated


def _columns(table: pa.Table, job: Job) -> pa.RecordBatch:
    """Returns the columns for KEY.json and, in the column `text`, for KEY.txt. They include `role`
    (who speaks) and `loss` (whether the text is trained on) of each segment."""
    schema = rows.schema(table.schema, job.settings.columns)
    columns = rows.columns(table, schema)
    del columns["videos"]
    text = texts(table["content"])
    columns["text"] = pc.if_else(pc.equal(text, ""), None, text)
    segments = Segments.from_table(table)
    offsets = pa.array(row_offsets(segments.row, segments.records).astype(np.int32))
    for name in ("role", "loss"):
        columns[name] = pa.ListArray.from_arrays(offsets, segments.field(name))
    return pa.record_batch(columns)


def _parsed(meta: str | None) -> Any:
    """Returns a row's `meta` as JSON that is copied unchanged, so that long numbers are not
    rounded. If `meta` is not valid JSON, returns it as a string."""
    if meta is None:
        return None
    try:
        orjson.loads(meta)
    except orjson.JSONDecodeError:
        return meta
    return orjson.Fragment(meta)
