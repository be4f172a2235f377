"""Reads Hugging Face parquet files with images in structs, and captions or conversations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import ClassVar, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from curate.ingest.captions.records.rows import CaptionColumns, add_caption, batch_of_columns
from curate.ingest.columns import Names, column, first_text, fully_used, text_columns
from curate.ingest.conversations import ChatSegment, add_chat, chat_segments
from curate.ingest.formats.parquet import (
    SUFFIXES,
    Batch,
    batches,
    count_rows,
    row_group_splits,
    sniffed_schema,
)
from curate.ingest.image_columns import bytes_and_paths, image_column, is_list
from curate.ingest.images import OpenedImage, keep_image, row_failures
from curate.ingest.media_root import check_root, open_below
from curate.ingest.meta import meta_json
from curate.ingest.reader import Context, Count, Head, ReadBatch, Reader, Split
from manifests import record
from manifests.errors import InputError, RowError
from manifests.storage import File

CHATS = ("conversations", "messages")
TEXTS = ("caption", "text", "txt")
_Content = TypeVar("_Content")


class HfParquet(Reader):
    """Hugging Face datasets with images: a column `image`, or a column `images` of lists.

        image                            caption
        {bytes: <bytes>, path: a.jpg}    A cat.

        images                           messages
        [{bytes: <bytes>, path: null}]   [{role: user, content: "<image>What is this?"}, ...]

    With a column `conversations` (LLaVA: from, value) or `messages` (OpenAI: role, content) a row
    becomes a chat record, with an image in place of each `<image>` tag. Otherwise, the row becomes
    a caption record: its images, then its text. Image bytes are copied once, to a file beside the
    output part; an image without bytes is opened by its path below `media_root`. All other columns
    go to `meta`, except raw bytes. A record's key is the file's name and the number of the row,
    from 0.
    """

    suffixes: ClassVar[tuple[str, ...]] = SUFFIXES

    text: Names | None = Field(
        None,
        description="column of the caption, or several columns: the first text that is not blank "
        "is used; if set, rows become captions even if there are conversations; [] for images "
        "alone; null: caption, text, txt",
    )
    media_root: str | None = Field(
        None, description="folder of the images for which the table has only paths"
    )

    @classmethod
    def sniff(cls, head: Head) -> bool:
        schema = sniffed_schema(head)
        return schema is not None and bool(image_column(schema) or chat_column(schema))

    def splits(self, file: File, context: Context) -> Iterator[Split]:
        return row_group_splits(file, context)

    def count(self, split: Split, context: Context) -> Count:
        return count_rows(split, context)

    def read(self, split: Split, context: Context) -> Iterator[ReadBatch]:
        file = split.files[0]
        if self.media_root is not None:
            check_root(self.media_root, context.base)
        for batch in batches(split, context, self.text or TEXTS):
            page = _Page(file, batch, _images(batch.rows, file), context)
            chat = chat_column(batch.rows.schema) if self.text is None else None
            if chat is not None:
                yield self._chats(page, chat)
            elif page.images.is_list:
                yield self._captions_of_lists(page)
            else:
                yield self._captions(page)

    def _captions(self, page: _Page) -> ReadBatch:
        """Makes caption records with one image each, column by column, which is faster than row by
        row."""
        texts, meta = self._texts_and_meta(page)
        images = [
            self._image(page, row) if count else RowError("the row has no image")
            for row, count in enumerate(page.images.counts)
        ]
        columns = CaptionColumns(page.batch.numbers, texts, meta)
        return batch_of_columns(self, page.file, columns, images, page.batch.broken)

    def _captions_of_lists(self, page: _Page) -> ReadBatch:
        texts, meta = self._texts_and_meta(page)
        captions = [
            text if count else RowError("the row has no image")
            for text, count in zip(texts.to_pylist(), page.images.counts, strict=True)
        ]
        return self._row_by_row(page, "caption", captions, add_caption, meta)

    def _texts_and_meta(self, page: _Page) -> tuple[pa.Array, pa.Array]:
        rows = page.batch.rows
        names = text_columns(self.text, TEXTS, rows.schema.names, page.file.uri)
        texts = first_text(rows, names, page.file.uri)
        return texts, meta_json(rows, {page.images.name, *fully_used(rows.schema, names)})

    def _chats(self, page: _Page, chat: str) -> ReadBatch:
        rows = page.batch.rows
        chats = [
            _segments(turns, count)
            for turns, count in zip(column(rows, chat).to_pylist(), page.images.counts, strict=True)
        ]
        meta = meta_json(rows, {page.images.name, chat})
        return self._row_by_row(page, "chat", chats, add_chat, meta)

    def _row_by_row(
        self,
        page: _Page,
        modality: str,
        contents: Sequence[_Content | RowError],
        add: Callable[[record.Row, _Content, list[OpenedImage]], None],
        meta: pa.Array,
    ) -> ReadBatch:
        """Makes one record for each row; a record may have several images. `add` adds the caption
        or chat of a row, and its images, to the record."""
        builder = record.Builder(self.name, modality)
        errors = list(page.batch.broken)
        for row, number in enumerate(page.batch.numbers.tolist()):
            content = contents[row]
            if isinstance(content, RowError):
                errors.append((number, content))
                continue
            images = self._images_of_row(page, row)
            if isinstance(images, RowError):
                errors.append((number, images))
                continue
            key, origin = self.key(page.file, number), self.origin(page.file, number)
            add(builder.add(key, origin, meta=meta[row].as_py()), content, images)
        failures = row_failures(self, page.file, sorted(errors, key=itemgetter(0)))
        return ReadBatch(builder.table(), failures)

    def _images_of_row(self, page: _Page, row: int) -> list[OpenedImage] | RowError:
        """The images of a row, or the error of the first image that cannot be opened."""
        images = []
        start = page.images.starts[row]
        for place in range(start, start + page.images.counts[row]):
            image = self._image(page, place)
            if isinstance(image, RowError):
                return image
            images.append(image)
        return images

    def _image(self, page: _Page, place: int) -> OpenedImage | RowError:
        data, path = page.images.data[place], page.images.paths[place]
        if data is not None:
            return keep_image(data, page.context)
        if path is None:
            return RowError("the image has neither bytes nor a path")
        if self.media_root is None:
            fault = f"the image has no bytes, only the path {path!r:.200}."
            return RowError(fault, fix="Set media_root to the folder of the image.")
        return open_below(self.media_root, path, page.context.media)


class _Images(NamedTuple):
    """The images of all rows of a batch, in one list. Row r has `counts[r]` images, and the index
    of its first image is `starts[r]`.

    Each image has bytes in `data`, a path in `paths`, or neither.
    """

    name: str | None
    is_list: bool
    counts: list[int]
    starts: list[int]
    data: list[memoryview | None]
    paths: list[str | None]


class _Page(NamedTuple):
    """A batch of table rows, with the column values from which the records are made."""

    file: File
    batch: Batch
    images: _Images
    context: Context


def chat_column(schema: pa.Schema) -> str | None:
    return next((f.name for f in schema if f.name in CHATS and is_list(f.type)), None)


def _images(rows: pa.RecordBatch, file: File) -> _Images:
    name = image_column(rows.schema)
    if name is None:
        if chat_column(rows.schema) is None:
            raise _no_images(rows.schema, file)
        return _Images(None, True, [0] * rows.num_rows, [0] * rows.num_rows, [], [])
    values = column(rows, name)
    if not is_list(values.type):
        data, paths = bytes_and_paths(values)
        counts = [int(d is not None or p is not None) for d, p in zip(data, paths, strict=True)]
        return _Images(name, False, counts, list(range(len(counts))), data, paths)
    sizes = np.asarray(pc.fill_null(pc.list_value_length(values), 0))
    starts = np.cumsum(sizes) - sizes
    flat = bytes_and_paths(values.flatten())
    return _Images(name, True, sizes.tolist(), starts.tolist(), *flat)


def _no_images(schema: pa.Schema, file: File) -> InputError:
    return InputError(
        f"no column of images named image or images; the columns are: {', '.join(schema.names)}.",
        file.uri,
        "Use the reader url_table for urls, table for paths, img2dataset_parquet for columns of "
        "encoded images.",
    )


def _segments(turns: list[dict[str, object]] | None, count: int) -> list[ChatSegment] | RowError:
    try:
        return chat_segments(turns or [], count)
    except RowError as error:
        return error
