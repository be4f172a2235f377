"""Arrow shards: IPC streams that `datasets`, PyTorch, Ray and plain pyarrow map without a copy."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from curate.emit import rows
from curate.emit.features import IMAGE
from curate.emit.names import Names
from curate.emit.payload import Run, runs
from curate.emit.rows import Mentions
from curate.emit.shard import Batch, Job, ShardCommit, quarantined
from curate.emit.shard_set import write_json
from curate.emit.sizes import sizes
from manifests import storage
from manifests.errors import RowError
from manifests.run.manifest import FileEntry
from manifests.storage.parts import buffered

ENDING = ".arrow"
_NAME_BYTES = 48


def write(job: Job) -> ShardCommit:
    """One shard: an uncompressed stream whose metadata tells `datasets` what its columns are."""
    schema = rows.schema(job.table.schema, job.settings.columns)
    columns = rows.columns(job.table, schema)
    images = Images.of(job.table)
    row_bytes = sum(map(sizes, columns.values()), images.row_bytes)
    columns["images"] = pa.nulls(job.table.num_rows, schema.field("images").type)
    whole = pa.record_batch([columns[name] for name in schema.names], schema=schema)
    batches: list[Batch] = []
    faults: dict[int, RowError] = {}
    with (
        storage.writing(job.uri(ENDING)) as sink,
        buffered(sink) as stream,
        pa.ipc.new_stream(stream, schema) as writer,
    ):
        offset = len(schema.serialize())
        for run in runs(images.shown, row_bytes, job.media, job.settings):
            batch = _batch(whole, images, run)
            faults.update(run.faults)
            if batch.num_rows:
                writer.write_batch(batch)
                stream.flush()
                batches.append(Batch(offset, batch.num_rows))
                offset = sink.size_bytes
    written = sum(batch.rows for batch in batches)
    return ShardCommit(
        number=job.number,
        rows=written,
        files=[job.entry(ENDING, written, sink)],
        batches=batches,
        quarantined=quarantined(job.table, faults.items()),
    )


class Images(NamedTuple):
    """The images of a shard, and the names their bytes go by: `<id>-<n>.<ending>`."""

    shown: Mentions
    names: Names

    @classmethod
    def of(cls, table: pa.Table) -> Images:
        shown = rows.mentions(table, "image")
        return cls(shown, Names.of(table, shown))

    @property
    def row_bytes(self) -> np.ndarray:
        """About what they take besides their bytes: a name, offsets and validity."""
        return 9 + (_NAME_BYTES + 19) * np.diff(self.shown.offsets)

    def read(self, run: Run) -> pa.Array:
        """The images of a run's rows, over the bytes where they were read to."""
        count = len(run.offsets) - 1
        ends = pa.py_buffer(run.offsets.astype(np.int32))
        data = pa.Array.from_buffers(pa.binary(), count, [None, ends, pa.py_buffer(run.data)])
        values = pa.StructArray.from_arrays([data, self.names.read(run)], fields=list(IMAGE))
        offsets = self.shown.offsets[run.start : run.stop + 1] - run.first
        return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), values)


def _batch(whole: pa.RecordBatch, images: Images, run: Run) -> pa.RecordBatch:
    """The rows of a run that have no fault, with their images."""
    batch = whole.slice(run.start, run.stop - run.start)
    at = batch.schema.get_field_index("images")
    batch = batch.set_column(at, batch.schema.field(at), images.read(run))
    if not run.faults:
        return batch
    sound = np.ones(batch.num_rows, bool)
    sound[[row - run.start for row in run.faults]] = False
    return batch.filter(pa.array(sound))


def finish(folder: str, commits: list[ShardCommit], fingerprint: str) -> list[FileEntry]:
    """What `datasets.load_from_disk` needs beside the shards."""
    names = [entry.name for commit in commits for entry in commit.files]
    with pa.ipc.open_stream(storage.open_input(storage.join(folder, names[0]))) as reader:
        info = json.loads(reader.schema.metadata[b"huggingface"])["info"]
    state: dict[str, Any] = {
        "_data_files": [{"filename": name} for name in names],
        "_fingerprint": fingerprint,
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": "train",
    }
    return [
        write_json(folder, "dataset_info.json", info),
        write_json(folder, "state.json", state),
    ]
