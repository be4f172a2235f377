"""Arrow shards: IPC streams that `datasets`, PyTorch, Ray and plain pyarrow map without a copy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curate.emit import rows
from curate.emit.extension import complete, of_types
from curate.emit.features import IMAGE
from curate.emit.payload import Run, runs
from curate.emit.rows import Mentions
from curate.emit.shard import Batch, Job, ShardCommit, quarantined
from curate.emit.sizes import sizes
from manifests import storage
from manifests.errors import RowError
from manifests.record import one_chunk

ENDING = ".arrow"
_NAME_BYTES = 48


def write(job: Job) -> ShardCommit:
    """One shard: an uncompressed stream whose metadata tells `datasets` what its columns are."""
    schema = rows.schema(job.table.schema, job.settings.columns)
    columns = rows.columns(job.table, schema)
    pictures = Pictures.of(job.table)
    row_bytes = sum(map(sizes, columns.values()), pictures.row_bytes)
    batches: list[Batch] = []
    faults: dict[int, RowError] = {}
    with storage.writing(job.uri(ENDING)) as sink, pa.ipc.new_stream(sink, schema) as writer:
        offset = len(schema.serialize())
        for run in runs(pictures.shown, row_bytes, job.media, job.settings):
            batch = _batch(schema, columns, pictures, run)
            faults.update(run.faults)
            if batch.num_rows:
                writer.write_batch(batch)
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


class Pictures(NamedTuple):
    """The pictures of a shard, and the names their bytes go by: `<id>-<n>.<ending>`."""

    shown: Mentions
    stems: pa.Array
    endings: list[str | None]

    @classmethod
    def of(cls, table: pa.Table) -> Pictures:
        shown = rows.mentions(table, "image")
        counts = np.diff(shown.offsets)
        owner = np.repeat(np.arange(len(counts)), counts)
        number = pa.array(np.arange(len(owner)) - shown.offsets[owner]).cast(pa.string())
        ids = one_chunk(table["id"]).take(pa.array(owner))
        return cls(shown, pc.binary_join_element_wise(ids, number, "-"), of_types(shown))

    @property
    def row_bytes(self) -> np.ndarray:
        """About what they take besides their bytes: a name, offsets and validity."""
        return 9 + (_NAME_BYTES + 19) * np.diff(self.shown.offsets)

    def read(self, run: Run) -> pa.Array:
        """The pictures of a run's rows, over the bytes where they were read to."""
        count = len(run.offsets) - 1
        ends = pa.py_buffer(run.offsets.astype(np.int32))
        data = pa.Array.from_buffers(pa.binary(), count, [None, ends, pa.py_buffer(run.data)])
        endings = pa.array(complete(self.endings, self.shown, run), pa.string())
        names = pc.binary_join_element_wise(self.stems.slice(run.first, count), endings, ".")
        values = pa.StructArray.from_arrays([data, names], fields=list(IMAGE))
        offsets = self.shown.offsets[run.start : run.stop + 1] - run.first
        return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), values)


def _batch(
    schema: pa.Schema, columns: dict[str, pa.Array], pictures: Pictures, run: Run
) -> pa.RecordBatch:
    """The rows of a run that have no fault."""
    count = run.stop - run.start
    given = {name: column.slice(run.start, count) for name, column in columns.items()}
    given["images"] = pictures.read(run)
    batch = pa.record_batch([given[name] for name in schema.names], schema=schema)
    if not run.faults:
        return batch
    sound = np.ones(count, bool)
    sound[[row - run.start for row in run.faults]] = False
    return batch.filter(pa.array(sound))
