"""Reads rows of fields that may be quoted: CSV, and TSV with quotes, as pandas writes it.

After a row with an error, the next rows are read.
"""

from __future__ import annotations

import contextlib
import csv
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain
from typing import NamedTuple, cast

from curate.ingest.formats.batching import in_batches
from curate.ingest.formats.lines import Block, LongLine, line_blocks
from curate.ingest.reader import Context, Split
from manifests.errors import RowError

_QUOTES = "Close each quoted field with a quote, and double the quotes within it."

CsvRow = tuple[int, tuple[str, ...] | RowError, int]
"""A row as (number of its first line, its fields or its error, number of its lines). It is a plain
tuple, because Python's garbage collector spends less time on tuples than on objects of a class."""


def csv_batches(
    split: Split, context: Context, delimiter: str, width: int
) -> Iterator[list[CsvRow]]:
    """Yields the rows of a split, which `csv_rows` parses, in batches of limited size."""
    blocks = line_blocks(split, context, keep_ends=True)
    return in_batches(
        csv_rows(blocks, delimiter, width, context.limits.max_row_bytes), _size_of_rows
    )


def csv_rows(
    blocks: Iterable[Block], delimiter: str, width: int, max_bytes: int
) -> Iterator[list[CsvRow]]:
    """Yields lists of CSV rows, parsed from blocks of lines that include their line ends. `width`
    is the number of columns of the table. A row is (number of its first line, its fields or its
    error, number of its lines). A blank line is a row without fields.

    `Block(1, [b'a,"x\\n', b'y"\\n'])` and two columns -> `[(1, ("a", "x\\ny"), 2)]`.

    A row without an error is parsed by Python's csv module. If the quotes of a field are faulty,
    the other lines that the csv module took into this field decide how many lines are broken. If
    each of them is a row of `width` fields, only the first line is broken (a quote is not closed in
    it), and the others are read as rows. Otherwise they may be the text of the field; then one
    error covers all of them, and reading continues at the next line in which every quote is closed.
    A row of more than `max_bytes` bytes is an error too.
    """
    csv.field_size_limit(max_bytes)  # of the process; the csv module has no other
    source = _Source(blocks, max_bytes)
    reader = csv.reader(source, delimiter=delimiter, strict=True)
    is_certain = True
    while True:
        if is_certain and (sound := source.sound_rows(delimiter, width)):
            yield sound
        source.start_row()
        fields, error = list[str](), None
        try:
            fields = next(reader)
            error = _width_error(fields, width) if fields else None
        except StopIteration:
            return
        except csv.Error as broken:
            error = RowError(f"the row is not valid CSV: {broken}.", fix=_QUOTES)
        except RowError as too_long:
            error = too_long
        held = source.held
        if error is not None and _hides_rows(held[1:], delimiter, width):
            source.read_again(len(held) - 1)
            held, error = held[:1], RowError("a quoted field has no closing quote.", fix=_QUOTES)
        elif error is not None:
            is_certain = is_certain and len(held) == 1
        elif fields and not is_certain and not _is_complete(held, delimiter):
            error = RowError(
                "a field of this row contains a quote, and the previous row is broken, so it "
                "is not certain where this row starts.",
                fix=_QUOTES,
            )
        elif fields:
            is_certain, error = True, _utf8_error(fields) if source.is_escaped else None
        content = tuple(fields) if error is None else _placed(held, error)
        yield [(held[0][0], content, len(held))]


def _size_of_rows(rows: list[CsvRow]) -> int:
    """Returns the number of characters in the fields of all rows."""
    sound = (fields for _, fields, _ in rows if isinstance(fields, tuple))
    return sum(map(len, chain.from_iterable(sound)))


class _Source:
    """An iterator that gives the decoded lines of all blocks to Python's csv reader. It keeps the
    lines of the current row and of the current block, so that they can be read again. The bytes of
    a line that is not UTF-8 are decoded as lone surrogates; `is_escaped` is true after such a line
    was found."""

    def __init__(self, blocks: Iterable[Block], max_bytes: int) -> None:
        self._blocks, self._max_bytes, self._row_bytes = iter(blocks), max_bytes, 0
        self._lines, self._first = list[str | LongLine](), 1  # the number of the first of `_lines`
        self._row = self._next = 0  # where the row starts in `_lines`, and the next line
        self._is_short = True  # whether all of `_lines` together are within the limit of a row
        self.is_escaped = False

    @property
    def held(self) -> list[tuple[int, str]]:
        """The lines of the current row that were read so far, each with its line number."""
        lines = self._lines[self._row : self._next]
        texts = ["\udcff" if isinstance(line, LongLine) else line for line in lines]
        return list(enumerate(texts, self._first + self._row))

    def start_row(self) -> None:
        self._row, self._row_bytes = self._next, 0

    def read_again(self, count: int) -> None:
        """Goes back by `count` lines of the current row, so that these lines are read again."""
        self._next -= count

    def sound_rows(self, delimiter: str, width: int) -> list[CsvRow]:
        """Reads the next rows of the block, and stops before the first row that has an error or
        continues in the next block. Reading the rows one by one gives the same result, but is
        slower."""
        if self.is_escaped or not self._is_short:
            return []
        unread = map(self._lines.__getitem__, range(self._next, len(self._lines)))  # no copy
        reader = csv.reader(cast("Iterator[str]", unread), delimiter=delimiter, strict=True)
        rows, start, read = list[CsvRow](), self._first + self._next, 0
        with contextlib.suppress(csv.Error):
            for fields in reader:
                if fields and len(fields) != width:
                    break
                lines_read = reader.line_num
                rows.append((start + read, tuple(fields), lines_read - read))
                read = lines_read
        self._next += read
        return rows

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._next == len(self._lines):
            self._take_block()
        line = self._lines[self._next]
        self._next += 1
        if isinstance(line, LongLine):
            raise line.error("the line")
        self._row_bytes += len(line)
        if self._row_bytes > self._max_bytes:
            fault = f"the row is longer than the limit of {self._max_bytes} bytes."
            raise RowError(fault, fix=f"{_QUOTES} Or raise media.max_row_bytes.")
        return line

    def _take_block(self) -> None:
        block = next(self._blocks)
        self._lines = [*self._lines[self._row :], *self._decoded(block.lines)]
        self._first, self._next = block.first - (self._next - self._row), self._next - self._row
        self._row = 0
        if not self.is_escaped:
            self._is_short = sum(map(len, cast("list[str]", self._lines))) <= self._max_bytes

    def _decoded(self, lines: list[bytes]) -> list[str | LongLine]:
        try:
            return [line.decode() for line in lines]
        except UnicodeDecodeError:
            self.is_escaped = True
        return [
            line if isinstance(line, LongLine) else line.decode(errors="surrogateescape")
            for line in lines
        ]


def _width_error(fields: list[str], width: int) -> RowError | None:
    if len(fields) == width:
        return None
    fault = f"the row has {len(fields)} fields, but the table has {width} columns."
    return RowError(
        fault, fix="Write one field for each column, and quote fields that contain the delimiter."
    )


def _utf8_error(fields: list[str]) -> RowError | None:
    """Returns an error if one of the fields has bytes that are not UTF-8; otherwise None. Such
    bytes were decoded as lone surrogates, so a field with a lone surrogate is an error."""
    try:
        "".join(fields).encode()
    except UnicodeEncodeError as error:
        fault = f"the byte 0x{ord(error.object[error.start]) - 56320:02x} is not UTF-8."
        return RowError(fault, fix="Convert the file to UTF-8.")
    return None


def _placed(held: list[tuple[int, str]], error: RowError) -> RowError:
    first, last = held[0][0], held[-1][0]
    where = f"line {first}" if first == last else f"lines {first} to {last}"
    return RowError(f"{where}: {error.fault}", fix=error.fix)


def _hides_rows(held: list[tuple[int, str]], delimiter: str, width: int) -> bool:
    """Whether the lines in `held`, pairs (line number, line), are rows of `width` fields. The lines
    were read as the text of a quoted field without a closing quote. The last row may be cut off."""
    texts: list[str] = []
    remaining = iter(held)

    def recorded() -> Iterator[str]:
        for _, text in remaining:
            texts.append(text)
            yield text

    reader, count = csv.reader(recorded(), delimiter=delimiter, strict=True), 0
    while True:
        texts.clear()
        try:
            fields = next(reader)
        except StopIteration:
            return count > 0
        except csv.Error:
            is_last = next(remaining, None) is None
            return count > 0 and is_last and _is_open(texts, delimiter)
        if fields:
            if len(fields) != width or not is_complete("".join(texts), delimiter):
                return False
            count += 1


def _is_open(texts: list[str], delimiter: str) -> bool:
    """Whether the lines `texts` are a complete row, except that the quoted last field has no
    closing quote."""
    return is_complete("".join(texts) + '"', delimiter)


def _is_complete(held: list[tuple[int, str]], delimiter: str) -> bool:
    return is_complete("".join(text for _, text in held), delimiter)


def is_complete(row: str, delimiter: str) -> bool:
    """Whether the quotes in a row are where csv writers put them (RFC 4180): around whole fields,
    and doubled within a quoted field. True for `a,"b ""c"" d"`, false for `a,b "c"`."""
    return '"' not in row or _patterns(delimiter).row.fullmatch(row) is not None


def complete_row(row: str, delimiter: str) -> list[str]:
    """Splits a row into its fields. `is_complete` must be true for the row. The quotes around a
    quoted field are not removed."""
    return _patterns(delimiter).field.findall(row.rstrip("\r\n"))


class _Patterns(NamedTuple):
    row: re.Pattern[str]
    field: re.Pattern[str]


@lru_cache
def _patterns(delimiter: str) -> _Patterns:
    bound = re.escape(delimiter)
    field = rf'(?:"[^"]*+(?:""[^"]*+)*+"|[^"{bound}\r\n]*+)'
    row = re.compile(rf"{field}(?:{bound}{field})*+(?:\r?\n)?")
    return _Patterns(row, re.compile(rf"(?:^|(?<={bound})){field}"))
