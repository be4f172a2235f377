"""WebDataset shards: KEY.jpg (KEY.0.jpg and on where there are several), KEY.txt and KEY.json.

The key is the record's id. The text is all that the record says, where it says anything; the JSON
holds the conversation, so that a literal `<image>` is never taken for an image, and whatever else
an Arrow shard would have in the row. Videos are files of their own, like images.
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
from curate.emit.payload import runs
from curate.emit.shard import Job, ShardCommit, quarantined
from curate.emit.tar_header import END, header, padding
from manifests import storage
from manifests.errors import RowError
from manifests.record import texts

ENDING = ".tar"


def write(job: Job) -> ShardCommit:
    """One tar, whose bytes depend on the rows and on nothing else."""
    shown = rows.mentions(job.table, *rows.MEDIA_KINDS)
    names, beside = Names.of(job.table, shown), _beside(job)
    faults: dict[int, RowError] = {}
    nothing = np.zeros(job.table.num_rows, np.int64)
    with storage.writing(job.uri(ENDING)) as sink:
        for run in runs(shown, nothing, job.media, job.settings):
            faults |= run.faults
            named = names.read(run).to_pylist()
            given = beside.slice(run.start, run.stop - run.start).to_pylist()
            for row in run.sound_rows:
                first, last = shown.offsets[row : row + 2].tolist()
                media = [(named[m - run.first], run.piece(m)) for m in range(first, last)]
                for piece in _blocks(members(given[row - run.start], media)):
                    sink.write(piece)
        sink.write(END)
    written = job.table.num_rows - len(faults)
    return ShardCommit(
        number=job.number,
        rows=written,
        files=[job.entry(ENDING, written, sink)],
        quarantined=quarantined(job.table, faults.items()),
    )


def _blocks(files: Iterator[tuple[str, bytes | memoryview]]) -> Iterator[bytes | memoryview]:
    """Files as a tar has them, in few pieces: media as they are, all that lies between as one."""
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
    """The names and contents of a row's files; its media are given by name."""
    key, text = row["id"], row.pop("text")
    for number, (name, data) in enumerate(media):
        ending = name.rpartition(".")[2]
        yield f"{key}.{number}.{ending}" if len(media) > 1 else f"{key}.{ending}", data
    if text is not None:
        yield f"{key}.txt", text.encode()
    yield f"{key}.json", orjson.dumps(row | {"meta": _parsed(row["meta"])}, default=bytes.hex)


def _beside(job: Job) -> pa.RecordBatch:
    """What goes into the text and the JSON of every row."""
    schema = rows.schema(job.table.schema, job.settings.columns)
    columns = rows.columns(job.table, schema)
    del columns["videos"]
    text = texts(job.table["content"])
    columns["text"] = pc.if_else(pc.equal(text, ""), None, text)
    return pa.record_batch(columns)


def _parsed(meta: str | None) -> Any:
    """The JSON of a row's meta as part of its own, or as a text where it does not parse."""
    try:
        return None if meta is None else orjson.loads(meta)
    except orjson.JSONDecodeError:
        return meta
