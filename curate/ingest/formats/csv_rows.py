"""Reads rows of fields that may be quoted (CSV, and TSV as data frames write it).

After an error, reading goes on at the next row."""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from curate.ingest.formats.lines import LongLine
from manifests.errors import RowError

_QUOTES = "Close each quoted field with a quote, and double the quotes within it."


class CsvRow(NamedTuple):
    """A row, or the error of a row that is broken, and its first and last line in the file."""

    first: int
    last: int
    fields: list[str] | RowError

    @property
    def lines(self) -> int:
        return self.last - self.first + 1


def csv_rows(
    lines: Iterable[tuple[int, bytes]], delimiter: str, width: int, max_bytes: int
) -> Iterator[CsvRow]:
    """Yields the rows of numbered lines, which have their line ends. A blank line has no fields.

    `(1, b'a,"x\\n'), (2, b'y"\\n')` and two columns -> `CsvRow(1, 2, ["a", "x\\ny"])`.

    A row without an error is as Python's csv module reads it. If a quoted field is faulty, the
    following lines decide: if all of them are rows of `width` fields, only the first line is broken
    (its quote is not closed), and the others are read as rows. Otherwise they may be the text of
    the field, so one error covers all of them, and reading continues at the next line whose quotes
    are complete. A row over `max_bytes` is an error like others.
    """
    csv.field_size_limit(max_bytes)  # of the process; the csv module has no other
    source = _Source(lines, max_bytes)
    reader = csv.reader(source, delimiter=delimiter, strict=True)
    is_certain = True
    while True:
        source.start_row()
        fields, error = list[str](), None
        try:
            fields = next(reader)
            error = _width_error(fields, width) if fields else None
        except StopIteration:
            return
        except csv.Error as broken:
            error = RowError(f"broken CSV: {broken}.", fix=_QUOTES)
        except RowError as too_long:
            error = too_long
        held = source.held
        if error is not None and _hides_rows(held[1:], delimiter, width):
            source.read_again(held[1:])
            held, error = held[:1], RowError("a quoted field is not closed.", fix=_QUOTES)
        elif error is not None:
            is_certain = is_certain and len(held) == 1
        elif fields and not is_certain and not _is_complete(held, delimiter):
            error = RowError(
                "a field contains a quote, and the row before it is broken, so "
                "it is not certain where this row starts.",
                fix=_QUOTES,
            )
        elif fields:
            is_certain, error = True, _utf8_error(fields) if source.is_escaped else None
        if error is not None:
            yield CsvRow(held[0][0], held[-1][0], _placed(held, error))
        else:
            yield CsvRow(held[0][0], held[-1][0], fields)


class _Source:
    """The decoded lines that the csv reader takes. `held` has the numbered lines of the row that is
    being read; `is_escaped` is whether a line so far was not UTF-8."""

    def __init__(self, lines: Iterable[tuple[int, bytes]], max_bytes: int) -> None:
        self._lines, self._again = iter(lines), deque[tuple[int, str]]()
        self._max_bytes, self._held_bytes = max_bytes, 0
        self.is_escaped = False
        self._long: LongLine | None = None
        self.held: list[tuple[int, str]] = []

    def start_row(self) -> None:
        self.held, self._held_bytes = [], 0

    def read_again(self, lines: list[tuple[int, str]]) -> None:
        self._again.extendleft(reversed(lines))

    def _decoded(self, number: int, line: bytes) -> tuple[int, str]:
        self._long = line if isinstance(line, LongLine) else None
        try:
            return number, line.decode()
        except UnicodeDecodeError:
            self.is_escaped = True
            return number, line.decode(errors="surrogateescape")

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else self._decoded(*next(self._lines))
        self.held.append(line)
        if self._long:
            long_line, self._long = self._long, None
            raise long_line.error("the line")
        self._held_bytes += len(line[1])
        if self._held_bytes > self._max_bytes:
            fault = f"the row is longer than the limit of {self._max_bytes} bytes."
            raise RowError(fault, fix=f"{_QUOTES} Or raise media.max_row_bytes.")
        return line[1]


def _width_error(fields: list[str], width: int) -> RowError | None:
    if len(fields) == width:
        return None
    fault = f"the row has {len(fields)} fields, but the table has {width} columns."
    return RowError(
        fault, fix="Write one field for each column, and quote fields that contain the delimiter."
    )


def _utf8_error(fields: list[str]) -> RowError | None:
    """An error if a field is not valid UTF-8; otherwise None. Invalid bytes were decoded as lone
    surrogates."""
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
    """Whether the lines inside a quoted field that is not closed are rows of their own: each of
    them is a complete row, except that the last one may be cut off."""
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
    """Whether a row is complete, except that its last field is quoted and not closed."""
    return is_complete("".join(texts) + '"', delimiter)


def _is_complete(held: list[tuple[int, str]], delimiter: str) -> bool:
    return is_complete("".join(text for _, text in held), delimiter)


def is_complete(row: str, delimiter: str) -> bool:
    """Whether quotes occur only around whole fields and doubled within them, as csv writers put
    them (RFC 4180): `a,"b ""c"" d"`, not `a,b "c"`."""
    return '"' not in row or _patterns(delimiter).row.fullmatch(row) is not None


def complete_row(row: str, delimiter: str) -> list[str]:
    """The fields of a row for which `is_complete` is true, with their quotes."""
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
