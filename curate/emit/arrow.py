"""Arrow shards: IPC streams that `datasets`, PyTorch, Ray and pyarrow memory-map without a copy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from curate.emit import rows
from curate.emit.features import IMAGE
from curate.emit.names import Names
from curate.emit.payload import Block, read_blocks
from curate.emit.shard import Batch, Job, Quarantined, ShardCommit, quarantined
from curate.emit.shard_set import write_json
from curate.emit.sizes import sizes
from manifests import storage
from manifests.errors import RowError
from manifests.record.segments import ShownMedia, shown_media
from manifests.storage.file_entry import FileEntry
from manifests.storage.parts import buffered

ENDING = ".arrow"
_NAME_BYTES = 48
"""An upper bound of the bytes of a name `<id>-<n>.<ending>`."""
_LIST_BYTES = 9
"""The upper bound of a list's overhead in bytes: two offsets and a validity bit."""
_FIELDS_BYTES = 19
"""The upper bound, in bytes, of the offsets and validity bits of an image's fields: bytes and
name."""


def write(job: Job) -> ShardCommit:
    """Write one shard: an uncompressed stream whose metadata contains the features for
    `datasets`."""
    schema = rows.schema(job.schema, job.settings.columns)
    batches: list[Batch] = []
    lost: list[Quarantined] = []
    with (
        storage.writing(job.uri(ENDING)) as sink,
        buffered(sink) as stream,
        pa.ipc.new_stream(stream, schema) as writer,
    ):
        offset = len(schema.serialize())
        for batch in _batches(job, schema, lost):
            writer.write_batch(batch)
            stream.flush()
            batches.append(Batch(offset, batch.num_rows))
            offset = sink.size_bytes
    written = sum(batch.rows for batch in batches)
    return ShardCommit(
        number=job.number,
        rows=written,
        files=[sink.entry(job.name(ENDING), written)],
        batches=batches,
        quarantined=lost,
    )


def _batches(job: Job, schema: pa.Schema, lost: list[Quarantined]) -> Iterator[pa.RecordBatch]:
    """Yields the record batches of the shard. For each row that could not be written, adds an entry
    to the list `lost`."""
    for table in job.tables:
        columns = rows.columns(table, schema)
        images = Images.from_table(table)
        row_bytes = sum(map(sizes, columns.values()), images.row_bytes)
        columns["images"] = pa.nulls(table.num_rows, schema.field("images").type)
        without_images = pa.record_batch([columns[name] for name in schema.names], schema=schema)
        faults: dict[int, RowError] = {}
        for block in read_blocks(images.shown, row_bytes, job.media, job.settings):
            batch = _batch(without_images, images, block)
            faults.update(block.faults)
            if batch.num_rows:
                yield batch
        lost += quarantined(table, faults.items())


class Images(NamedTuple):
    """The images of a shard, and the names under which their bytes are stored: `<id>-<n>.<ending>`,
    where n counts the images of a row."""

    shown: ShownMedia
    names: Names

    @classmethod
    def from_table(cls, table: pa.Table) -> Images:
        shown = shown_media(table, "image")
        return cls(shown, Names.from_table(table, shown))

    @property
    def row_bytes(self) -> np.ndarray:
        """Estimates how many bytes the column `images` takes in each row, not counting the image
        bytes themselves."""
        return _LIST_BYTES + (_NAME_BYTES + _FIELDS_BYTES) * np.diff(self.shown.offsets)

    def read(self, block: Block) -> pa.Array:
        """Returns the images of a block of rows as list<IMAGE>. The bytes of the images are not
        copied from the block's buffer."""
        count = len(block.offsets) - 1
        ends = pa.py_buffer(block.offsets.astype(np.int32))
        data = pa.Array.from_buffers(pa.binary(), count, [None, ends, pa.py_buffer(block.data)])
        values = pa.StructArray.from_arrays([data, self.names.read(block)], fields=list(IMAGE))
        offsets = self.shown.offsets[block.start : block.stop + 1] - block.first
        return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), values)


def _batch(without_images: pa.RecordBatch, images: Images, block: Block) -> pa.RecordBatch:
    """Returns the record batch of a block: the rows of the block with their column `images`, but
    without the rows in `block.faults`."""
    batch = without_images.slice(block.start, block.stop - block.start)
    column = batch.schema.get_field_index("images")
    batch = batch.set_column(column, batch.schema.field(column), images.read(block))
    if not block.faults:
        return batch
    is_valid = np.ones(batch.num_rows, bool)
    is_valid[[row - block.start for row in block.faults]] = False
    return batch.filter(pa.array(is_valid))


def finish(folder: str, commits: list[ShardCommit], fingerprint: str) -> list[FileEntry]:
    """Write the files that `datasets.load_from_disk` needs in the folder of the shards.
    `fingerprint` identifies the settings of the run; `datasets` uses it as the fingerprint of the
    data set."""
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
