"""Parquet files of img2dataset (`output_format: parquet`), with encoded images in the table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import pyarrow as pa

from curate.ingest.captions.records.rows import CaptionColumns, batch_of_columns
from curate.ingest.columns import column, first_text
from curate.ingest.formats.columnar import (
    SUFFIXES,
    Batch,
    batches,
    count_rows,
    sniffed_schema,
    splits,
)
from curate.ingest.image_columns import ENCODED_NAMES, byte_views, bytes_column
from curate.ingest.images import keep_image
from curate.ingest.meta import meta_json
from curate.ingest.reader import Context, Count, Head, ReadBatch, Reader, Split
from manifests.errors import InputError, RowError
from manifests.storage import File

TEXTS = ("caption", "txt")


class Img2DatasetParquet(Reader):
    """img2dataset's parquet shards: a table with an image's bytes in `jpg`, `png` or `webp`.

        caption    url             status      jpg
        A cat.     http://a.b/c    success     <bytes>
        A dog.     http://a.b/d    failed...   null

    The text is `caption`, or `txt` if `caption` is blank; all other columns go to `meta`. A row
    whose image could not be downloaded or resized has no bytes: it is quarantined with its `status`
    and `error_message`. The image bytes are copied once, to a file beside the output part. A
    record's key is the file's name and the number of the row, from 0.
    """

    version: ClassVar[int] = 3
    suffixes: ClassVar[tuple[str, ...]] = SUFFIXES

    @classmethod
    def sniff(cls, head: Head) -> bool:
        schema = sniffed_schema(head)
        return schema is not None and bytes_column(schema) is not None

    def splits(self, file: File, context: Context) -> Iterator[Split]:
        return splits(file, context)

    def count(self, split: Split, context: Context) -> Count:
        return count_rows(split, context)

    def read(self, split: Split, context: Context) -> Iterator[ReadBatch]:
        for batch in batches(split, context, TEXTS):
            yield self._read_batch(split.files[0], batch, context)

    def _read_batch(self, file: File, batch: Batch, context: Context) -> ReadBatch:
        name = bytes_column(batch.rows.schema)
        if name is None:
            raise _no_images(batch.rows.schema, file)
        texts = [text for text in TEXTS if text in batch.rows.schema.names]
        columns = CaptionColumns(
            batch.numbers,
            first_text(batch.rows, texts, file.uri),
            meta_json(batch.rows, without=(name, *texts)),
        )
        images = [
            _no_bytes(batch.rows, row) if data is None else keep_image(data, context)
            for row, data in enumerate(byte_views(column(batch.rows, name)))
        ]
        return batch_of_columns(self, file, columns, images, batch.broken)


def _no_images(schema: pa.Schema, file: File) -> InputError:
    return InputError(
        f"the table has no binary column named {' or '.join(ENCODED_NAMES)}; its columns are: "
        f"{', '.join(schema.names)}.",
        file.uri,
        "Use the reader hf_parquet for images in structs of bytes and path, or url_table for urls.",
    )


def _no_bytes(rows: pa.RecordBatch, row: int) -> RowError:
    """The error of a row without image bytes. It has the reason that img2dataset recorded."""
    reasons = {
        name: column(rows, name)[row].as_py()
        for name in ("status", "error_message")
        if name in rows.schema.names
    }
    reason = ", ".join(f"{name} is {value!r:.200}" for name, value in reasons.items())
    return RowError(f"the row has no image bytes: {reason}" if reason else "the row has no image")
