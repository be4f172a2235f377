"""What img2dataset writes with `output_format: parquet`: encoded images inside the table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import pyarrow as pa

from curate.ingest.captions.records.rows import CaptionColumns, batch_of_columns
from curate.ingest.columns import column, first_text
from curate.ingest.formats.parquet import SUFFIXES, Batch, batches, row_group_splits, sniffed_schema
from curate.ingest.image_columns import ENCODED_NAMES, byte_views, bytes_column
from curate.ingest.images import keep_image
from curate.ingest.meta import meta_json
from curate.ingest.reader import Context, Head, ReadBatch, Reader, Split
from manifests.errors import InputError, RowError
from manifests.storage import File

TEXTS = ("caption", "txt")


class Img2DatasetParquet(Reader):
    """img2dataset's parquet shards: an image's bytes in a column `jpg`, `png` or `webp`.

    The text is `caption`, or `txt` where that says nothing; all other columns go to `meta`. A
    row that could not be downloaded or resized has no bytes: it becomes a failure with its
    `status` and `error_message`. Images are copied once, beside the parts. A record's key is
    the file's name and the number of the row, from 0.
    """

    suffixes: ClassVar[tuple[str, ...]] = SUFFIXES
    keeps_bytes: ClassVar[bool] = True

    @classmethod
    def sniff(cls, head: Head) -> bool:
        schema = sniffed_schema(head)
        return schema is not None and bytes_column(schema) is not None

    def splits(self, file: File, context: Context) -> Iterator[Split]:
        return row_group_splits(file, context)

    def read(self, split: Split, context: Context) -> Iterator[ReadBatch]:
        for batch in batches(split, context, TEXTS):
            yield self._found(split.files[0], batch, context)

    def _found(self, file: File, batch: Batch, context: Context) -> ReadBatch:
        name = bytes_column(batch.rows.schema)
        if name is None:
            raise _no_images(batch.rows.schema, file)
        texts = [text for text in TEXTS if text in batch.rows.schema.names]
        rows = CaptionColumns(
            batch.numbers,
            first_text(batch.rows, texts, file.uri),
            meta_json(batch.rows, without=(name, *texts)),
        )
        images = [
            _no_bytes(batch.rows, row) if data is None else keep_image(data, context)
            for row, data in enumerate(byte_views(column(batch.rows, name)))
        ]
        return batch_of_columns(self, file, rows, images, batch.broken)


def _no_images(schema: pa.Schema, file: File) -> InputError:
    return InputError(
        f"no column of bytes named "
        f"{', '.join(ENCODED_NAMES)}; there are {', '.join(schema.names)}.",
        file.uri,
        "Images in a struct are for the reader hf_parquet, urls for url_table.",
    )


def _no_bytes(rows: pa.RecordBatch, row: int) -> RowError:
    said = {
        name: column(rows, name)[row].as_py()
        for name in ("status", "error_message")
        if name in rows.schema.names
    }
    why = ", ".join(f"{name} is {value!r:.200}" for name, value in said.items())
    return RowError(f"the row has no image: {why}" if why else "the row has no image")
