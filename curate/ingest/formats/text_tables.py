"""Reads tables in text files (JSON lines, JSON arrays of objects, CSV, TSV) as numbered rows."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import Any, Literal, NamedTuple

from curate.ingest.formats.chunks import is_compressed, read_chunks, with_compressed
from curate.ingest.formats.column_names import check_header, named
from curate.ingest.formats.csv_rows import CsvRow, csv_batches
from curate.ingest.formats.json_elements import batches, count_elements, element_groups, is_array
from curate.ingest.formats.json_fields import as_objects
from curate.ingest.formats.json_heads import FIRST_LINES
from curate.ingest.formats.json_splits import array_splits
from curate.ingest.formats.lines import (
    NO_LINES,
    Lines,
    LongLine,
    count_lines,
    decoded,
    line_batches,
    line_splits,
    lines,
)
from curate.ingest.formats.tsv_quotes import Quotes, quotes_of
from curate.ingest.reader import SPLIT_BYTES, Context, Count, Split
from manifests import storage
from manifests.errors import FileError, RowError
from manifests.storage import File
from manifests.text.json_values import error_in, parse_objects

JSON_SUFFIXES = with_compressed(".jsonl", ".ndjson", ".json")
DELIMITERS = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar"}

Row = dict[str, Any] | RowError
"""The values of a row by column name, or the error of a row that is broken."""
Numbered = tuple[int, Row | None, int]
"""A row as (number, row, lines). `number` is the line number of its first line, from 1, or its
index in a JSON array, from 0. `row` is None for a blank line. `lines` is the number of text lines
that the row takes up."""


class Rows(NamedTuple):
    """A batch of rows: the valid rows with their numbers, and the broken rows with their errors.

    The number of a row in a JSON array is its index, from 0; the number of any other row is the
    number of its first line, from 1. `lines` says how many lines of text a row takes, for each row
    that takes more than one line.
    """

    numbers: list[int]
    rows: list[dict[str, Any]]
    broken: list[tuple[int, RowError]]
    lines: Lines = NO_LINES


class Layout(NamedTuple):
    """The format of a table: JSON lines (`lines`), a JSON array (`array`), or rows of fields
    (`fields`), as in CSV and TSV.

    For rows of fields, `header` has the column names, `line` is the line number of the header, and
    `quotes` says how fields are quoted. JSON has no header.
    """

    kind: Literal["lines", "array", "fields"]
    header: list[str]
    line: int = 0
    delimiter: str = ","
    quotes: Quotes = "doubled"

    @property
    def has_newlines(self) -> bool:
        """Whether a field may contain a newline, so that the file cannot be cut at newlines."""
        return self.kind == "fields" and self.quotes == "doubled"


class Wanted(NamedTuple):
    """What the recipe requires of a table: `names` are columns that the table must have;
    `delimiter` and `quotes` are the settings of the same names. A setting that is None is detected
    from the file."""

    names: Collection[str] = ()
    delimiter: str | None = None
    quotes: Quotes | None = None


def layout_of(split: Split, context: Context, wanted: Wanted) -> Layout:
    """Detects the layout of a split's file.

    A file that ends in .json, .jsonl or .ndjson is a JSON array or JSON lines. In any other file,
    the first line that is not blank decides: if it starts with `{` or `[`, the file is JSON lines
    or a JSON array; otherwise, this line is the header of a table. Raises FileError if the line
    cannot be a header, if two columns have the same name, or if the header or the quotes can be
    read in two ways. Also raises FileError if none of the first lines of JSON lines is an object.
    """
    found = _layout_without_quotes(split, context, wanted)
    if found.kind != "fields":
        return found
    quotes = wanted.quotes or "doubled"
    if wanted.quotes is None and found.delimiter == "\t":
        quotes = split_quotes(split, context, len(found.header))
    return found._replace(quotes=quotes)


def header_of(split: Split, context: Context, wanted: Wanted) -> list[str]:
    """The column names in the header of a table; [] for JSON, which has no header. Only the start
    of the file is read. Raises FileError as `layout_of` does."""
    return _layout_without_quotes(split, context, wanted).header


def _layout_without_quotes(split: Split, context: Context, wanted: Wanted) -> Layout:
    file = split.files[0]
    place = storage.resolve(context.base, file.uri)
    if file.name.lower().endswith(JSON_SUFFIXES):
        if is_array(place):
            return Layout("array", [])
        _check_lines(split, context)
        return Layout("lines", [])
    numbered = lines(Split((file,)), context)
    number, first = next(((n, line) for n, line in numbered if line.strip()), (0, b"{"))
    start = first.lstrip()[:1]
    if start in (b"{", b"["):
        return Layout("lines" if start == b"{" else "array", [])
    try:
        header = decoded(number, first)
    except RowError as error:
        fault = f"line {number} is not the header of a table: {error.fault}"
        raise FileError(fault, file.uri, error.fix) from None
    delimiter, names = _delimiter_and_names(header, number, file, wanted)
    return Layout("fields", names, number, delimiter)


def _check_lines(split: Split, context: Context) -> None:
    """Raises FileError if none of the first lines of a file is a JSON object, because the file then
    has another format. If only some lines are broken, no error is raised here."""
    file = split.files[0]
    with_content = (line for _, line in lines(Split((file,)), context) if line.strip())
    starts = [line.lstrip()[:1] for line in islice(with_content, FIRST_LINES)]
    if starts and b"{" not in starts:
        fault = f"none of the first {len(starts)} lines is a JSON object."
        raise FileError(
            fault, file.uri, "Remove the file from the source, or give it the suffix of its format."
        )


def split_quotes(split: Split, context: Context, width: int | None) -> Quotes:
    """Detects how the fields of a split's TSV are quoted, as `quotes_of` does. `width` is the
    number of columns, if the number is known. If the split is only a part of a file, the result is
    `none`, because a file with quoted fields is never cut into several splits."""
    file = split.files[0]
    if split.start > 0 or split.stop >= 0:
        return "none"
    place = storage.resolve(context.base, file.uri)
    if not any(b'"' in chunk for chunk in read_chunks(place)):
        return "none"
    return quotes_of(lines(Split((file,)), context), width, file)


def _delimiter_and_names(
    header: str, number: int, file: File, wanted: Wanted
) -> tuple[str, list[str]]:
    """Returns the delimiter of a header and the column names: `a;b` -> `;`, [a, b].

    `number` is the line number of the header. If the header contains several possible delimiters,
    the result is the delimiter with which the header has all column names in `wanted.names`. If no
    delimiter gives all these names, the result is the delimiter that gives the most columns. Raises
    FileError if several delimiters give all these names.
    """
    given = [wanted.delimiter] if wanted.delimiter else [d for d in DELIMITERS if d in header]
    readings = {d: names for d in given or [","] if (names := _fields(header, d)) is not None}
    if not readings:
        fault = f"line {number} is not the header of a table: {header!r:.80} has a broken quote."
        raise FileError(
            fault, file.uri, "Close each quoted column name in the header with a quote."
        )
    with_names = {d: names for d, names in readings.items() if set(wanted.names) <= set(names)}
    if len(with_names) > 1:
        both = " or ".join(
            f"{len(names)} columns separated by {DELIMITERS.get(d, d)}"
            for d, names in with_names.items()
        )
        fault = f"the header in line {number} can be read in two ways, as {both}: {header!r:.80}."
        raise FileError(fault, file.uri, "Set `delimiter` to the character between columns.")
    [(delimiter, names), *_] = (with_names or _most_columns(readings)).items()
    check_header(names, number, file.uri)
    return delimiter, names


def _most_columns(readings: dict[str, list[str]]) -> dict[str, list[str]]:
    most = max(readings, key=lambda delimiter: len(readings[delimiter]))
    return {most: readings[most]}


def _fields(header: str, delimiter: str) -> list[str] | None:
    try:
        return named(next(csv.reader([header], delimiter=delimiter, strict=True)))
    except csv.Error:
        return None


def is_one_split(file: File) -> bool:
    """Whether a file is always one split (the range that one task reads), because it is compressed
    or small."""
    return is_compressed(file.uri) or file.size <= SPLIT_BYTES


def table_splits(file: File, context: Context, wanted: Wanted) -> Iterator[Split]:
    """Yields the splits of a table (the ranges that one task each reads). A table whose fields may
    contain newlines is one split, and so is a compressed or small file."""
    if is_one_split(file):
        return iter([Split((file,))])
    layout = layout_of(Split((file,)), context, wanted)
    if layout.kind == "array":
        return array_splits(file, storage.resolve(context.base, file.uri))
    return iter([Split((file,))]) if layout.has_newlines else line_splits(file, context)


def read_rows(split: Split, context: Context, layout: Layout) -> Iterator[Rows]:
    """Yields the rows of a split in batches."""
    if layout.kind == "array":
        place = storage.resolve(context.base, split.files[0].uri)
        for found in batches(element_groups(place, *split[1:], context.limits.max_row_bytes)):
            values = zip(found, as_objects(found), strict=True)
            yield _separated([(element.number, row, 1) for element, row in values])
    elif layout.has_newlines:
        for quoted in csv_batches(split, context, layout.delimiter, len(layout.header)):
            yield _separated(list(_by_header(quoted, layout)))
    else:
        for batch in line_batches(split, context):
            yield _objects(batch) if layout.kind == "lines" else _plain(batch, layout)


def _separated(batch: list[Numbered]) -> Rows:
    """Separates the valid rows of a batch from the broken rows. Blank lines are only counted."""
    numbers = [number for number, row, _ in batch if isinstance(row, dict)]
    rows = [row for _, row, _ in batch if isinstance(row, dict)]
    broken = [(number, row) for number, row, _ in batch if isinstance(row, RowError)]
    return Rows(numbers, rows, broken, lines_of(batch))


def _objects(batch: list[tuple[int, bytes]]) -> Rows:
    values = parse_objects([line for _, line in batch])
    rows = [value for value in values if type(value) is dict]
    if len(rows) == len(values):
        return Rows([number for number, _ in batch], rows, [])
    return _separated(
        [
            (number, value if type(value) is dict else _not_object(number, line, value), 1)
            for (number, line), value in zip(batch, values, strict=True)
        ]
    )


def _not_object(number: int, line: bytes, value: Any) -> RowError:
    if isinstance(line, LongLine):
        return line.error(f"line {number}")
    if isinstance(value, RowError):
        return error_in(f"line {number}", value)
    return RowError(f"line {number} is {value!r:.80}, not a JSON object")


def _plain(batch: list[tuple[int, bytes]], layout: Layout) -> Rows:
    """Makes rows from lines in which fields are not quoted."""
    return _separated(
        [
            (number, _by_name(number, line, layout), 1)
            for number, line in batch
            if number > layout.line
        ]
    )


def _by_name(number: int, line: bytes, layout: Layout) -> Row:
    try:
        fields = decoded(number, line).split(layout.delimiter)
    except RowError as error:
        return error
    if len(fields) != len(layout.header):
        count = len(layout.header)
        fault = (
            f"line {number}: the row has {len(fields)} fields, but the table has {count} columns."
        )
        return RowError(fault, fix="Write one field for each column.")
    return dict(zip(layout.header, fields, strict=True))


def _by_header(batch: list[CsvRow], layout: Layout) -> Iterator[Numbered]:
    """Yields each CSV row as a dict by column name, with the number of its first line and the
    number of its lines: a quoted field may contain newlines. The header is left out."""
    header = layout.header
    for number, fields, count in batch:
        if isinstance(fields, RowError):
            yield number, fields, count
        elif not fields:
            yield number, None, count
        elif number > layout.line:
            yield number, dict(zip(header, fields, strict=True)), count


def lines_of(batch: Sequence[tuple[int, object, int]]) -> Lines:
    """Counts the text lines that the rows of a batch take. Each row is (number, content, number of
    lines). The content is None for a blank line, and a RowError for a row that could not be
    read."""
    several = [(number, row, lines) for number, row, lines in batch if lines != 1]
    hidden = {number for number, row, _ in several if isinstance(row, RowError)}
    blank = sum(row is None for _, row, _ in batch)
    return Lines({number: lines for number, _, lines in several}, hidden, blank)


def count_units(split: Split, context: Context, layout: Layout) -> Count:
    """Counts the units of a split: the elements of a JSON array, or the lines of any other table.
    Blank lines are counted separately (`left_aside`), because they become neither records nor
    failures. If quoted fields may contain newlines, blank lines cannot be counted here, because a
    blank line may be part of a field; then `read_rows` counts them."""
    if layout.kind == "array":
        place = storage.resolve(context.base, split.files[0].uri)
        return count_elements(place, *split[1:])
    found = count_lines(split, context)
    blank = {} if layout.has_newlines else found.left_aside
    header = {"header": 1} if layout.line and split.start == 0 else {}
    return found._replace(left_aside={**blank, **header})
