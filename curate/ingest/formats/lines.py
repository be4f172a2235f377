"""Cuts text files at newlines into splits (the ranges that one task each reads), and reads their
lines with exact line numbers."""

from __future__ import annotations

import codecs
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from curate.ingest.formats.batching import in_batches
from curate.ingest.formats.chunks import is_compressed, read_chunks
from curate.ingest.reader import SPLIT_BYTES, Context, Count, Split
from manifests import storage
from manifests.errors import FileError, RowError
from manifests.storage import File

_BLANK_LINE = re.compile(rb"\n[ \t\r\v\f]*(?=\n)")


class Lines(NamedTuple):
    """How many lines of text the rows of a batch take. A CSV row takes several lines if a quoted
    field has a newline.

    The keys of `of_rows` are the numbers of the rows that take more than one line, and its values
    are the numbers of lines of these rows. `hidden` has the numbers of the rows in `of_rows` that
    could not be read. `blank` is the number of blank lines in the batch.
    """

    of_rows: Mapping[int, int]
    hidden: Collection[int] = ()
    blank: int = 0


NO_LINES = Lines({})
"""The value for a batch in which each row has one line, and no line is blank."""


def line_splits(file: File, context: Context, split_bytes: int = SPLIT_BYTES) -> Iterator[Split]:
    """Yields splits of at least `split_bytes` (the last may be smaller). Each split ends after a
    newline or at the end of the file.

    In a split, `start` and `stop` are byte positions, and `first` is the number of lines before the
    split. A compressed file is one split, because it can be read only from its start.
    """
    if is_compressed(file.uri) or file.size <= split_bytes:
        yield Split((file,))
        return
    start = first = offset = seen = 0
    for block in read_chunks(storage.resolve(context.base, file.uri)):
        counted = 0
        while cut := block.find(b"\n", max(counted, start + split_bytes - 1 - offset)) + 1:
            seen += block.count(b"\n", counted, cut)
            yield Split((file,), start, offset + cut, first)
            start, first, counted = offset + cut, seen, cut
        seen += block.count(b"\n", counted)
        offset += len(block)
    if start < offset:
        yield Split((file,), start, offset, first)


def check_line_ends(start: bytes, uri: str) -> None:
    """Raises FileError if the lines of a file end with a carriage return alone, because the whole
    file would be taken for one line. `start` has the first bytes of the file."""
    if b"\n" not in start and b"\r" in start.rstrip():
        fault = "the lines of the file end with a carriage return alone (CR), not with LF or CRLF."
        fix = "Convert the line ends: `tr '\\r' '\\n' < OLD > NEW`, and read the new file."
        raise FileError(fault, uri, fix)


class LongLine(bytes):
    """Stands for a line that is longer than the limit `max_row_bytes`, so that the line is not kept
    in memory. `size` is the number of bytes of the line. The bytes of a LongLine are not valid
    UTF-8, so they cannot be confused with the text of a line."""

    size: int
    limit: int

    @classmethod
    def of(cls, size: int, limit: int) -> LongLine:
        line = cls(b"\xff")
        line.size, line.limit = size, limit
        return line

    def __add__(self, end: Any) -> LongLine:
        return self

    def removesuffix(self, end: Any) -> LongLine:
        return self

    def error(self, subject: str) -> RowError:
        return RowError(
            f"{subject} has {self.size} bytes, more than the limit of {self.limit}.",
            fix="Raise media.max_row_bytes. If the file is not text with one record on each line, "
            "use another reader: `curate readers` lists them.",
        )


class Block(NamedTuple):
    """Consecutive lines of a file. `first` is the line number of the first of these lines; the
    lines of a file are numbered from 1."""

    first: int
    lines: list[bytes]


def lines(split: Split, context: Context) -> Iterator[tuple[int, bytes]]:
    """Yields (line number, line) for each line of a split, without line endings. Lines are numbered
    from 1 in the file: `b"a\\r\\nb"` -> (1, b"a"), (2, b"b")."""
    for block in line_blocks(split, context):
        yield from enumerate(block.lines, block.first)


def line_blocks(split: Split, context: Context, keep_ends: bool = False) -> Iterator[Block]:
    """Yields the lines of a split, block by block.

    A byte order mark is removed. Line endings (LF or CRLF) are removed unless `keep_ends` is true.
    Only one block and one line are in memory; a line over the limit `max_row_bytes` is replaced by
    a LongLine. Raises FileError for a broken compressed file, and for lines that end with CR alone.
    """
    number, limit = split.first + 1, context.limits.max_row_bytes
    begun = _Begun(limit)
    for block in _without_bom(split, context):
        complete = block.split(b"\n")
        last = complete.pop()
        if complete:
            complete[0] = begun.take(complete[0])
            if limit < len(block):
                complete = [_within(line, limit) for line in complete]
            yield Block(number, _ended(complete, keep_ends))
            number += len(complete)
        begun.add(last)
    if begun.size:
        line = begun.take(b"")
        yield Block(number, [line if keep_ends else line.removesuffix(b"\r")])


def _ended(complete: list[bytes], keep_ends: bool) -> list[bytes]:
    if keep_ends:
        return [line + b"\n" for line in complete]
    return [line.removesuffix(b"\r") for line in complete]


class _Begun:
    """Joins the parts of a line that extends over several blocks. If the line is longer than the
    limit, only its size is kept."""

    def __init__(self, limit: int) -> None:
        self._limit, self._held, self.size = limit, list[bytes](), 0

    def add(self, block: bytes) -> None:
        self.size += len(block)
        if self.size > self._limit:
            self._held = []
        else:
            self._held.append(block)

    def take(self, end: bytes) -> bytes:
        """Adds `end`, the last part of the line, and returns the complete line. The next part that
        is added starts a new line."""
        self.add(end)
        size, held = self.size, self._held
        self._held, self.size = [], 0
        return LongLine.of(size, self._limit) if size > self._limit else b"".join(held)


def _within(line: bytes, limit: int) -> bytes:
    if isinstance(line, LongLine) or len(line) <= limit:
        return line
    return LongLine.of(len(line), limit)


def line_batches(split: Split, context: Context) -> Iterator[list[tuple[int, bytes]]]:
    """Yields the lines of a split that are not blank, in batches of limited size."""
    return in_batches(map(_not_blank, line_blocks(split, context)), _size_of)


def _not_blank(block: Block) -> list[tuple[int, bytes]]:
    numbered = enumerate(block.lines, block.first)
    return [(number, line) for number, line in numbered if line and not line.isspace()]


def _size_of(numbered: list[tuple[int, bytes]]) -> int:
    return sum(len(line) for _, line in numbered)


def count_lines(split: Split, context: Context) -> Count:
    """The number of lines in a split, found by counting newlines, and the number of blank lines
    among them.

    `b"a\\n \\nb"` -> `Count("lines", 3, {"blank": 1})`. A last line without a newline is counted
    too. In a compressed file that is broken, the complete lines before the fault are counted.
    """
    found = blanks = held_bytes = 0
    held_is_blank = is_whole = True  # the line that the last block did not end
    try:
        for block in _without_bom(split, context):
            cut, last = block.find(b"\n"), block.rfind(b"\n")
            if cut >= 0:
                found += block.count(b"\n")
                blanks += held_is_blank and _is_blank(block[:cut])
                blanks += len(_BLANK_LINE.findall(block, cut))
                held_bytes, held_is_blank = 0, True
            held_bytes += len(block) - last - 1
            held_is_blank = held_is_blank and _is_blank(block[last + 1 :])
    except FileError:
        held_bytes, is_whole = 0, False
    found, blanks = found + (held_bytes > 0), blanks + (held_bytes > 0 and held_is_blank)
    return Count("lines", found, {"blank": blanks} if blanks else {}, is_whole)


def _is_blank(data: bytes) -> bool:
    return not data or data.isspace()


def decoded(number: int, line: bytes) -> str:
    """Decodes the line with the number `number` as UTF-8. If a byte is invalid, raises a RowError
    that names the position of the first invalid byte. If the line is a LongLine, which stands for a
    line over the length limit, raises a RowError that says so."""
    if isinstance(line, LongLine):
        raise line.error(f"line {number}")
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        at = error.start
        fault = f"line {number}, byte {at}: 0x{line[at]:02x} is not UTF-8."
        raise RowError(fault, fix="Convert the file to UTF-8.") from None


def _without_bom(split: Split, context: Context) -> Iterator[bytes]:
    place = storage.resolve(context.base, split.files[0].uri)
    blocks = read_chunks(place, split.start, split.stop)
    if split.start == 0:
        first = next(blocks, b"")
        check_line_ends(first, split.files[0].uri)
        yield first.removeprefix(codecs.BOM_UTF8)
    yield from blocks
