"""Reads tables of two columns, url and caption, usually without a header: CC3M, CC12M and
similar."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import ClassVar, Literal, NamedTuple

import pyarrow as pa
from pydantic import Field

from curate.ingest.captions.records.rows import CaptionColumns, batch_of_columns, with_lines
from curate.ingest.columns import has_text, require_columns
from curate.ingest.evidence import Findings
from curate.ingest.file_template import URL_FIELDS, USUAL_FILES, Files, Template
from curate.ingest.formats.chunks import with_compressed
from curate.ingest.formats.csv_rows import csv_batches
from curate.ingest.formats.lines import (
    count_lines,
    decoded,
    line_batches,
    line_splits,
    lines,
)
from curate.ingest.formats.text_tables import is_one_split, lines_of, split_quotes
from curate.ingest.formats.tsv_quotes import QUOTES_DESCRIPTION, Quotes
from curate.ingest.last_parts import LastParts, check_last_parts
from curate.ingest.media_folder import MediaFolder, open_row_images
from curate.ingest.meta import json_column
from curate.ingest.reader import Context, Count, Head, ReadBatch, Reader, Split
from manifests.errors import InputError, RowError
from manifests.media.header import SUFFIXES
from manifests.storage import File

_SNIFFED_LINES = 100
"""Number of lines at the start of a file by which its format and its columns are detected (our
choice)."""
_URL_OR_PATH = re.compile(rf"\w+://\S+|[^\t]+\.({'|'.join(sorted(SUFFIXES))})", re.IGNORECASE)
_URL_NAMES = {"url", "image_url", "image", "file", "path"}
_TEXT_NAMES = {"caption", "text", "title", "alt", "alt_text"}


class Tsv(Reader):
    """Two tab-separated columns: a caption and a url (CC3M), or a url and a caption (CC12M).

        A cat on a sofa.<tab>http://a.b/c/cat.jpg

    The first lines of the file decide which column is which; a first line such as `caption<tab>url`
    is a header. The table may have a column of image paths instead of urls. Nothing is downloaded:
    the image is the file below `media_root` that `file` names. If `file` is not set, these names
    are tried in order: `{url_path}` (the column itself, if it is a path), `{url_sha256}`,
    `{url_md5}`, and `{url_name}` (the last part of the url; if several urls of the file have the
    same last part, their rows are quarantined). A row whose image is not found is quarantined with
    the names that were tried. The url goes to `meta`. A quote at the start of a field may enclose
    the field, as data frames write it, or belong to the text. All lines with quotes are examined to
    find out which is the case; a file that can be read in both ways is quarantined. A record's key
    is the file's name and the number of its first line, from 1.
    """

    version: ClassVar[int] = 3

    suffixes: ClassVar[tuple[str, ...]] = with_compressed(".tsv", ".txt")

    media_root: str = Field(description="folder of the images")
    file: Files | None = Field(
        None,
        description="file name of a row's image below media_root, made from its url, such as "
        "`{url_sha256}`; or several names that are tried in order; null: "
        "`{url_path}`, `{url_sha256}`, `{url_md5}`, `{url_name}`",
    )
    url: Literal["first", "last"] | None = Field(
        None,
        description="which of the two columns has the urls or paths; null: detected from the "
        "first lines",
    )
    quotes: Quotes | None = Field(None, description=QUOTES_DESCRIPTION)

    @classmethod
    def sniff(cls, head: Head) -> bool:
        """Whether more than half of the first lines have a tab. Blank lines, and lines that begin
        with `{` or `[`, are not counted. The lines need not have urls, because a setting may name
        the column of urls."""
        if b"\0" in head.data:
            return False
        sample = head.data.decode("utf-8", "replace").splitlines()[:_SNIFFED_LINES]
        rows = [line for line in sample if line.strip() and not line.startswith(("{", "["))]
        return 2 * sum("\t" in line for line in rows) > len(rows)

    def check_settings(self, file: File, head: Head, context: Context) -> None:
        self._layout(file, context)
        self._templates(file)

    def splits(self, file: File, context: Context) -> Iterator[Split]:
        if is_one_split(file):
            return iter([Split((file,))])
        is_quoted = self._quotes(Split((file,)), context) == "doubled"
        return iter([Split((file,))]) if is_quoted else line_splits(file, context)

    def count(self, split: Split, context: Context) -> Count:
        found = count_lines(split, context)
        is_quoted = self._quotes(split, context) == "doubled"
        return found._replace(left_aside={}) if is_quoted else found

    def read(self, split: Split, context: Context) -> Iterator[ReadBatch]:
        file = split.files[0]
        layout = self._layout(file, context)
        folder = MediaFolder(self.media_root, context.base)
        last_parts = LastParts(
            context.base, file, layout.url, lambda: self._urls(split, context, layout)
        )
        is_quoted = self._quotes(split, context) == "doubled"
        for batch in _rows(split, context, layout.url, is_quoted):
            header = batch[:1] if layout.has_header and batch[0][0] == 1 else []
            rows = batch[len(header) :]
            found = self._read_batch(file, _pairs(rows), folder, context, last_parts)
            found = with_lines(self, file, found, lines_of(rows))
            if header:
                found = found._replace(left_aside={**found.left_aside, "header": 1})
            yield found._replace(evidence=last_parts.evidence())

    def check_evidence(self, evidence: Findings) -> None:
        check_last_parts(evidence, self.path)

    def _urls(self, split: Split, context: Context, layout: _Layout) -> Iterator[pa.Array]:
        """Yields the urls of all rows of the file, not only those of the split."""
        whole = Split(split.files[:1])
        is_quoted = self._quotes(whole, context) == "doubled"
        for batch in _rows(whole, context, layout.url, is_quoted):
            yield pa.array(_pairs(batch).urls, pa.string())

    def _quotes(self, split: Split, context: Context) -> Quotes:
        return self.quotes or split_quotes(split, context, None)

    def _layout(self, file: File, context: Context) -> _Layout:
        """Returns the column layout of a file. The layout depends only on the first lines, so all
        splits of the file have the same layout."""
        stream = lines(Split((file,)), context)
        first = [line.decode("utf-8", "replace") for _, line in islice(stream, _SNIFFED_LINES)]
        header = _header(first[0]) if first else None
        url = self.url or header or _url_column(first)
        if url is None and any(line.strip() for line in first):
            raise InputError(
                "it is not clear which of the two columns has the urls or image paths: of the "
                f"first {len(first)} lines, as many have a url or path in the first column as in "
                "the last.",
                file.uri,
                "Set `url: first` or `url: last`. Columns must be separated by one tab.",
            )
        return _Layout(url or "first", header is not None)

    def _read_batch(
        self,
        file: File,
        pairs: _Pairs,
        folder: MediaFolder,
        context: Context,
        last_parts: LastParts,
    ) -> ReadBatch:
        urls = pa.array(pairs.urls, pa.string())
        texts = pa.array([t if has_text(t) else None for t in pairs.texts], pa.string())
        meta = json_column([{"url": url} for url in pairs.urls])
        images = open_row_images(
            self._templates(file), {"url": urls}, urls, folder, context, last_parts
        )
        return batch_of_columns(
            self, file, CaptionColumns(pairs.numbers, texts, meta), images, pairs.broken
        )

    def _templates(self, file: File) -> list[Template]:
        for name in self.file or ():
            require_columns(Template(name).columns, {"url", *URL_FIELDS}, "file", file.uri)
        usual = [name for name in USUAL_FILES if Template(name).columns <= URL_FIELDS.keys()]
        return [Template(name) for name in self.file or usual]


_Position = Literal["first", "last"]


class _Layout(NamedTuple):
    """The position of the url column, and whether line 1 is a header."""

    url: _Position
    has_header: bool


class _Pairs(NamedTuple):
    """The rows of a batch: the line numbers, urls and texts of the valid rows, as lists of equal
    length, and the broken rows with their line numbers and errors."""

    numbers: list[int]
    urls: list[str]
    texts: list[str]
    broken: list[tuple[int, RowError]]


def _header(line: str) -> _Position | None:
    """Returns the position of the url column if the line is a header; otherwise None."""
    names = tuple(name.strip().strip('"').lower() for name in line.split("\t"))
    if len(names) != 2:
        return None
    if names[0] in _URL_NAMES and names[1] in _TEXT_NAMES:
        return "first"
    return "last" if names[1] in _URL_NAMES and names[0] in _TEXT_NAMES else None


def _url_column(sample: list[str]) -> _Position | None:
    """Returns the position of the url column: the first or the last column, whichever has a url or
    an image path in more lines of `sample`. None if both columns have one in equally many lines."""
    rows = [line for line in sample if "\t" in line]
    first = sum(
        _URL_OR_PATH.fullmatch(row.partition("\t")[0].strip(' "')) is not None for row in rows
    )
    last = sum(
        _URL_OR_PATH.fullmatch(row.rpartition("\t")[2].strip(' "')) is not None for row in rows
    )
    if first == last:
        return None
    return "first" if first > last else "last"


_Row = tuple[int, tuple[str, str] | RowError | None, int]
"""A row as (number of its first line, content, number of its lines). The content is its url and
caption, its error, or None for a blank line."""


def _pairs(batch: list[_Row]) -> _Pairs:
    """Sorts the rows of a batch into valid and broken ones; blank lines are left out."""
    pairs = _Pairs([], [], [], [])
    for number, row, _ in batch:
        if isinstance(row, RowError):
            pairs.broken.append((number, row))
        elif row is not None:
            pairs.numbers.append(number)
            pairs.urls.append(row[0].strip())
            pairs.texts.append(row[1])
    return pairs


def _rows(
    split: Split, context: Context, position: _Position, is_quoted: bool
) -> Iterator[list[_Row]]:
    return (_quoted_rows if is_quoted else _plain_rows)(split, context, position)


def _plain_rows(split: Split, context: Context, position: _Position) -> Iterator[list[_Row]]:
    for batch in line_batches(split, context):
        yield [(number, _cut(number, line, position), 1) for number, line in batch]


def _cut(number: int, line: bytes, position: _Position) -> tuple[str, str] | RowError:
    """Splits a line into (url, caption) at the first tab if the url is first, or at the last tab if
    the url is last, because a caption may contain tabs. `position` is the position of the url."""
    try:
        row = decoded(number, line)
    except RowError as error:
        return error
    if "\t" not in row:
        fault = f"line {number} has no tab: it has one column instead of two."
        return RowError(fault, fix="Separate the url and the caption by a tab.")
    if position == "first":
        url, _, text = row.partition("\t")
    else:
        text, _, url = row.rpartition("\t")
    return url, text


def _quoted_rows(split: Split, context: Context, position: _Position) -> Iterator[list[_Row]]:
    for batch in csv_batches(split, context, "\t", 2):
        yield [(number, _ordered(fields, position), lines) for number, fields, lines in batch]


def _ordered(
    fields: tuple[str, ...] | RowError, position: _Position
) -> tuple[str, str] | RowError | None:
    if isinstance(fields, RowError):
        return fields
    if not fields:
        return None
    url, text = fields if position == "first" else reversed(fields)
    return url, text
