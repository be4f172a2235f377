"""Reads Hugging Face parquet and Arrow files with images, and captions or conversations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import itemgetter
from typing import ClassVar, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from curate.ingest.captions.records.rows import CaptionColumns, add_caption, batch_of_columns
from curate.ingest.columns import column, first_text, fully_used, text_columns
from curate.ingest.conversations import add_chat, chat_segments, check_placeholders
from curate.ingest.formats.columnar import (
    SUFFIXES,
    Batch,
    batches,
    count_rows,
    sniffed_schema,
    splits,
)
from curate.ingest.image_columns import bytes_and_paths, image_column, is_list
from curate.ingest.images import OpenedImage, keep_image, row_failures
from curate.ingest.media_root import check_root
from curate.ingest.message_parts import ChatSegment, open_source
from curate.ingest.meta import meta_json
from curate.ingest.reader import Context, Count, Head, ReadBatch, Reader, Split
from manifests import record
from manifests.errors import InputError, RowError
from manifests.setting_values import Names
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

    Files are parquet, or Arrow files as `datasets` writes them (`save_to_disk`, its cache). With a
    column `conversations` (LLaVA: from, value) or `messages` (OpenAI: role, content) a row becomes
    a chat record, with an image in place of each `<image>` tag or part. Otherwise, the row becomes
    a caption record: its images, then its text. Image bytes are copied once, to a file beside the
    output part; an image without bytes is opened by its path below `media_root`. All other columns
    go to `meta`, except raw bytes. A record's key is the file's name and the number of the row,
    from 0.
    """

    version: ClassVar[int] = 3
    suffixes: ClassVar[tuple[str, ...]] = SUFFIXES
    modalities: ClassVar[tuple[str, ...]] = ("caption", "chat")

    text: Names | None = Field(
        None,
        description="column of the caption, or several columns, of which the first text that "
        "is not blank is used; if set, rows become captions even if the table has "
        "conversations; []: images without captions; null: the columns caption, "
        "text, txt",
    )
    media_root: str | None = Field(
        None, description="folder of the images for which the table has only paths"
    )

    @classmethod
    def sniff(cls, head: Head) -> bool:
        schema = sniffed_schema(head)
        return schema is not None and bool(image_column(schema) or chat_column(schema))

    def check_settings(self, file: File, head: Head, context: Context) -> None:
        schema = sniffed_schema(head)
        if schema is not None and (self.text is not None or chat_column(schema) is None):
            text_columns(self.text, TEXTS, schema.names, file.uri)

    def splits(self, file: File, context: Context) -> Iterator[Split]:
        return splits(file, context)

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
            self._image(page, row)
            if count
            else RowError("the row has no image: its image column is empty")
            for row, count in enumerate(page.images.counts)
        ]
        columns = CaptionColumns(page.batch.numbers, texts, meta)
        return batch_of_columns(self, page.file, columns, images, page.batch.broken)

    def _captions_of_lists(self, page: _Page) -> ReadBatch:
        texts, meta = self._texts_and_meta(page)
        captions = [
            text if count else RowError("the row has no image: its image column is empty")
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
            _segments(turns, page.images.paths_of(row))
            for row, turns in enumerate(column(rows, chat).to_pylist())
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
        """Makes one record for each row; a record may have several images. `contents` has, for each
        row, its caption, its chat segments or its error. `add` adds the caption or the segments,
        and the images, to a record. `meta` is the column `meta`."""
        builder = record.Builder(self.name, modality)
        errors = list(page.batch.broken)
        for row, number in enumerate(page.batch.numbers.tolist()):
            content = contents[row]
            if isinstance(content, RowError):
                errors.append((number, content))
                continue
            images = self._images_of_row(page, row, content)
            if isinstance(images, RowError):
                errors.append((number, images))
                continue
            key, origin = self.key(page.file, number), self.origin(page.file, number)
            add(builder.add(key, origin, meta=meta[row].as_py()), content, images)
        failures = row_failures(self, page.file, sorted(errors, key=itemgetter(0)))
        return ReadBatch(builder.table(), failures)

    def _images_of_row(
        self, page: _Page, row: int, content: object
    ) -> list[OpenedImage] | RowError:
        """The images that a row shows, or the error of the first image that cannot be opened.

        The segments of a chat (`content`) determine which images are shown, and in which order; a
        caption has all images of the row.
        """
        shown: Iterable[int | str | bytes | None] = range(page.images.counts[row])
        if isinstance(content, list):
            shown = [segment.image for segment in content if segment.text is None]
        images = []
        for image in shown:
            opened = self._image_of_row(page, row, image)
            if isinstance(opened, RowError):
                return opened
            images.append(opened)
        return images

    def _image_of_row(
        self, page: _Page, row: int, image: int | str | bytes | None
    ) -> OpenedImage | RowError:
        if isinstance(image, str | bytes):
            return open_source(image, self.media_root, page.context)
        return self._image(page, page.images.starts[row] + (image or 0))

    def _image(self, page: _Page, place: int) -> OpenedImage | RowError:
        data, path = page.images.data[place], page.images.paths[place]
        if data is not None:
            return keep_image(data, page.context)
        if path is None:
            return RowError("the image of the row has neither bytes nor a path")
        return open_source(path, self.media_root, page.context)


class _Images(NamedTuple):
    """The images of all rows of a batch, in one list. Row r has `counts[r]` images, and the index
    of its first image is `starts[r]`.

    Each image has bytes in `data`, a path in `paths`, or neither. `name` is the image column, None
    if the table has none; `is_list` is whether its cells are lists of images.
    """

    name: str | None
    is_list: bool
    counts: list[int]
    starts: list[int]
    data: list[memoryview | None]
    paths: list[str | None]

    def paths_of(self, row: int) -> list[str | None]:
        return self.paths[self.starts[row] : self.starts[row] + self.counts[row]]


class _Page(NamedTuple):
    """A batch of table rows, the images in its image column, and the file from which the batch was
    read."""

    file: File
    batch: Batch
    images: _Images
    context: Context


def chat_column(schema: pa.Schema) -> str | None:
    """Returns the name of the column that has conversations; None if there is no such column. A
    conversation is a list of turns, or a struct of lists, which is how `datasets` stores a sequence
    of dicts."""
    return next((f.name for f in schema if f.name in CHATS and _holds_turns(f.type)), None)


def _holds_turns(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return kind.num_fields > 0 and all(is_list(field.type) for field in kind)
    return is_list(kind)


def _images(rows: pa.RecordBatch, file: File) -> _Images:
    has_chat = chat_column(rows.schema) is not None
    name = image_column(rows.schema, or_paths=has_chat)
    if name is None:
        if not has_chat:
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
        "the table has no column `image` or `images` that contains images; its columns are: "
        f"{', '.join(schema.names)}.",
        file.uri,
        "Use the reader url_table for a table of urls, table for image paths, or "
        "img2dataset_parquet for columns of encoded images.",
    )


def _segments(turns: object, paths: list[str | None]) -> list[ChatSegment] | RowError:
    try:
        segments = chat_segments(turns or [], len(paths), paths)
        check_placeholders(segments)
        return segments
    except RowError as error:
        return error
