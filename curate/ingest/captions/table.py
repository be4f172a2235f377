"""Reads any table of captions and image paths: JSON lines, CSV, TSV, parquet or Arrow."""

from __future__ import annotations

import codecs
import itertools
from collections.abc import Iterator, Sequence
from types import NoneType
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from curate.ingest.captions.records.rows import (
    CaptionColumns,
    batch_of_columns,
    with_lines,
)
from curate.ingest.columns import (
    as_text,
    blank_to_null,
    first_item,
    first_text,
    fully_used,
    require_columns,
)
from curate.ingest.formats import columnar
from curate.ingest.formats.chunks import with_compressed
from curate.ingest.formats.json_heads import first_object
from curate.ingest.formats.lines import NO_LINES, Lines, count_lines
from curate.ingest.formats.text_tables import (
    DELIMITERS,
    JSON_SUFFIXES,
    Rows,
    Wanted,
    count_units,
    header_of,
    layout_of,
    read_rows,
    table_splits,
)
from curate.ingest.formats.tsv_quotes import QUOTES_DESCRIPTION, Quotes
from curate.ingest.images import OpenedImage
from curate.ingest.media_root import check_root, open_below
from curate.ingest.meta import json_column, meta_json
from curate.ingest.reader import Context, Count, Head, ReadBatch, Reader, Split
from manifests.errors import FileError, RowError
from manifests.media import Media
from manifests.setting_values import Names
from manifests.storage import File
from manifests.text.json_values import dump_json

_TEXT_SUFFIXES = (*JSON_SUFFIXES, *with_compressed(".csv", ".tsv"))


class Table(Reader):
    """Any table with texts and paths: JSON lines, JSON arrays, CSV, TSV, parquet, Arrow.

        {"file": "a/cat.jpg", "caption": "A cat.", "license": "CC0"}

    is read with `text: caption` and `image: file`. Files that end in .json, .jsonl or .ndjson are
    JSON lines, or one array; parquet and Arrow files are known by their suffix too. The first line
    of any other file is a header. Its names are separated by commas, tabs, semicolons or bars; the
    right separator is the one with which the header has the columns that the recipe names. Fields
    may be quoted, with the quotes within them doubled. In a TSV, captions from the web may begin
    with quotes that belong to the text, so all lines with quotes are examined to find out whether
    fields are quoted. A file whose header or quotes can be read in two ways is quarantined; then
    set `delimiter` or `quotes`.

    An image is the file below `media_root` that the column `image` names; a row without text
    becomes a record with only the image. Without the setting `image`, records have only text and
    the modality `text`, so captions can be filtered before their images are downloaded. All other
    columns go to `meta`. If `text` lists several columns, or if a text is a list, they go to `meta`
    too. A record's key is the file's name and the number of the line, from 1, or of the element of
    an array or row of a parquet or Arrow file, from 0. If a quote in a CSV row is not closed, only
    this row is quarantined; the rows after it are read.
    """

    version: ClassVar[int] = 4
    modalities: ClassVar[tuple[str, ...]] = ("caption", "text")
    suffixes: ClassVar[tuple[str, ...]] = (*columnar.SUFFIXES, *_TEXT_SUFFIXES)

    text: Names = Field(
        description="column of the caption, or several columns, of which the first text that "
        "is not blank is used; []: images without captions"
    )
    image: str | None = Field(
        None,
        description="column of the image paths, relative to media_root; null: records have only "
        "text",
    )
    media_root: str | None = Field(None, description="folder of the images")
    language: str | None = Field(
        None, description="column of the language: BCP 47 tags, such as en or zh-Hant"
    )
    delimiter: str | None = Field(
        None,
        pattern=r"^[^\"\r\n]$",
        description="character between columns of a CSV or TSV; null: detected from the header",
    )
    quotes: Quotes | None = Field(None, description=QUOTES_DESCRIPTION)

    @model_validator(mode="after")
    def _both_or_neither(self) -> Table:
        if not self.text and self.image is None:
            raise ValueError("text is [] and image is not set: name a column for one of them")
        if (self.image is None) != (self.media_root is None):
            raise ValueError("image and media_root go together: set both, or neither")
        return self

    @classmethod
    def sniff(cls, head: Head) -> bool:
        first = head.data.removeprefix(codecs.BOM_UTF8).lstrip().partition(b"\n")[0]
        if first.startswith((b"{", b"[")) or head.file.name.lower().endswith(JSON_SUFFIXES):
            return _is_row(first_object(head))
        is_header = any(mark.encode() in first for mark in DELIMITERS) and b"\0" not in first
        return columnar.is_columnar_data(head.data) or is_header

    def check_settings(self, file: File, head: Head, context: Context) -> None:
        if columnar.is_columnar(file.name):
            if (schema := columnar.sniffed_schema(head)) is not None:
                self._require(schema.names, file)
            return
        split = Split((file,))
        if header := header_of(split, context, self._wanted()):
            self._require(header, file)
        else:
            next(self._batches(split, context), None)

    def splits(self, file: File, context: Context) -> Iterator[Split]:
        if columnar.is_columnar(file.name):
            return columnar.splits(file, context)
        return table_splits(file, context, self._wanted())

    def count(self, split: Split, context: Context) -> Count | None:
        if columnar.is_columnar(split.files[0].name):
            return columnar.count_rows(split, context)
        try:
            layout = layout_of(split, context, self._wanted())
        except FileError:
            if split.files[0].name.lower().endswith(JSON_SUFFIXES):  # it is of another format
                raise
            return count_lines(split, context)  # the failure of the file counts as its lines
        return count_units(split, context, layout)

    def read(self, split: Split, context: Context) -> Iterator[ReadBatch]:
        file = split.files[0]
        if self.media_root is not None:
            check_root(self.media_root, context.base)
        for batch in self._batches(split, context):
            images = self._images(batch.images, context.media)
            found = batch_of_columns(self, file, batch.columns, images, batch.broken)
            yield with_lines(self, file, found, batch.lines)

    def _batches(self, split: Split, context: Context) -> Iterator[_Batch]:
        file = split.files[0]
        if columnar.is_columnar(file.name):
            names = (*self.text, *filter(None, [self.image, self.language]))
            for table in columnar.batches(split, context, names):
                yield self._from_columns(table, file)
            return
        layout = layout_of(split, context, self._wanted())
        if layout.header:
            self._require(layout.header, file)
        for place, batch in enumerate(read_rows(split, context, layout)):
            if place == 0 and not layout.header:
                self._check(batch.rows, file)
            yield self._from_rows(batch)

    def _wanted(self) -> Wanted:
        names = (*self.text, *filter(None, [self.image, self.language]))
        return Wanted(names, self.delimiter, self.quotes)

    def _check(self, rows: list[dict[str, Any]], file: File) -> None:
        """Raises InputError if none of the JSON lines of a batch has the field that `image` names,
        or if none has one of the fields that `text` names. A field may be missing in some of the
        lines; the field `language` may be missing in all."""
        present = list(dict.fromkeys(name for row in rows for name in row))
        if present:
            require_columns(filter(None, [self.image]), present, "image", file.uri)
            if not set(self.text) & set(present):
                require_columns(self.text[:1], present, "text", file.uri)

    def _require(self, header: Sequence[str], file: File) -> None:
        require_columns(self.text, header, "text", file.uri)
        require_columns(filter(None, [self.image]), header, "image", file.uri)
        require_columns(filter(None, [self.language]), header, "language", file.uri)

    def _from_columns(self, batch: columnar.Batch, file: File) -> _Batch:
        table, place = batch.rows, file.uri
        self._require(table.schema.names, file)
        language = as_text(table, self.language, "language", place) if self.language else None
        without = {self.image, self.language, *fully_used(table.schema, self.text)}
        texts = first_text(table, self.text, place)
        columns = CaptionColumns(batch.numbers, texts, meta_json(table, without), language)
        images = as_text(table, self.image, "image", place).to_pylist() if self.image else []
        return _Batch(columns, images, batch.broken)

    def _from_rows(self, batch: Rows) -> _Batch:
        numbers, rows, broken, lines = batch
        texts, errors = _first_texts(rows, self.text)
        images = [row.get(self.image) for row in rows] if self.image else []
        language = _tags(rows, self.language) if self.language else None
        columns = CaptionColumns(numbers, texts, self._meta(rows), language)
        if not errors:
            return _Batch(columns, images, broken, lines)
        broken = [*broken, *((numbers[row], error) for row, error in errors.items())]
        valid = np.array([row not in errors for row in range(len(rows))], bool)
        return _Batch(columns.filter(valid), list(itertools.compress(images, valid)), broken, lines)

    def _meta(self, rows: list[dict[str, Any]]) -> pa.Array:
        """Removes the fields that the record uses from each row, and returns the other fields as
        JSON. A text field is removed only if it is the only text field and its value is not a
        list."""
        for name in filter(None, [self.image, self.language]):
            for row in rows:
                row.pop(name, None)
        for name in self.text if len(self.text) == 1 else ():
            for row in rows:
                if not isinstance(row.get(name), list):
                    row.pop(name, None)
        return json_column(rows)

    def _images(
        self, values: Sequence[object], media: Media
    ) -> list[OpenedImage | RowError] | None:
        if self.image is None or self.media_root is None:
            return None
        return [self._image(self.media_root, value, media) for value in values]

    def _image(self, root: str, value: object, media: Media) -> OpenedImage | RowError:
        if not isinstance(value, str) or not value:
            return RowError(
                f"the row has no image: the column '{self.image}' is {value!r:.200}, not a path"
            )
        return open_below(root, value, media)


class _Batch(NamedTuple):
    """Rows of a table, ready to become records: their columns, the values of their image column,
    and the broken rows with their errors. `lines` says how many lines of text a row takes, for each
    row that takes more than one."""

    columns: CaptionColumns
    images: Sequence[object]
    broken: list[tuple[int, RowError]]
    lines: Lines = NO_LINES


def _is_row(fields: dict[str, Any] | None) -> bool:
    """True if a JSON object can be a row of a table. A JSON object with a field that is a list of
    JSON objects is not a row but, for example, an annotation file."""
    lists = [value for value in (fields or {}).values() if isinstance(value, list)]
    return bool(fields) and not any(isinstance(item, dict) for value in lists for item in value)


def _tags(rows: list[dict[str, Any]], name: str) -> pa.Array:
    """The language tag of each row; null if the field is missing, empty or not text."""
    tags = [row.get(name) for row in rows]
    return pa.array([tag if isinstance(tag, str) and tag else None for tag in tags], pa.string())


def _first_texts(
    rows: list[dict[str, Any]], names: Sequence[str]
) -> tuple[pa.Array, dict[int, RowError]]:
    """Returns the text of each row, and the errors of rows by row index.

    The text of a row is the first of the fields `names` that is not blank; null if all are blank. A
    field such as a dict cannot be read as text. A row has an error if such a field comes before the
    first field with text, or if the row has such a field and no field with text.
    """
    texts, errors = pa.nulls(len(rows), pa.string()), dict[int, RowError]()
    for name in names:
        values = [row.get(name) for row in rows]
        if not set(map(type, values)) <= {str, NoneType}:
            has_none = np.asarray(texts.is_null())
            for row, value in enumerate(values):
                try:
                    values[row] = _text(value, name)
                except RowError as error:
                    values[row] = None
                    if has_none[row]:
                        errors.setdefault(row, error)
        texts = pc.coalesce(texts, blank_to_null(pa.array(values, pa.string())))
    return texts, errors


def _text(value: object, name: str) -> str | None:
    """The value of a field as text; for a list, its first element that is not blank. A number
    becomes its JSON. Raises RowError for a dict, and for a list whose first element is a dict or
    list."""
    if isinstance(value, list):
        value = first_item(value)
    if isinstance(value, dict | list):
        kind = "an object" if isinstance(value, dict) else "a list of lists"
        raise RowError(f"the column '{name}' is {kind}, not text: {value!r:.80}")
    return value if value is None or isinstance(value, str) else dump_json(value)
