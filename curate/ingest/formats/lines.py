"""Cuts text files into splits at newlines, and reads their lines with exact line numbers."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from curate.ingest.formats.batching import in_batches
from curate.ingest.formats.chunks import is_compressed, read_chunks
from curate.ingest.reader import SPLIT_BYTES, Context, Count, Split
from manifests import storage
from manifests.errors import FileError, RowError
from manifests.storage import File

_BOM = b"\xef\xbb\xbf"
_BLANK_LINE = re.compile(rb"\n[ \t\r\v\f]*(?=\n)")


class Lines(NamedTuple):
    """How many text lines the rows of a batch take up. `of_rows` has the number of lines of each
    row that has several, by row number; `hidden` has the numbers of those rows among them that
    could not be read; `blank` is the number of blank lines."""

    of_rows: Mapping[int, int]
    hidden: Collection[int] = ()
    blank: int = 0


NO_LINES = Lines({})
"""The value for a batch in which each row has one line, and no line is blank."""


def line_splits(file: File, context: Context, split_bytes: int = SPLIT_BYTES) -> Iterator[Split]:
    """Yields splits of at least `split_bytes`. Each split ends after a newline or at the end of the
    file.

    In a split, `start` and `stop` are byte positions, and `first` is the number of lines before it.
    A compressed file is one split, because it can be read only from its start.
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


def lines(split: Split, context: Context, keep_ends: bool = False) -> Iterator[tuple[int, bytes]]:
    """Yields (line number, line) for each line of a split. Lines of the file are numbered from 1.

    `b"a\\r\\nb"` -> (1, b"a"), (2, b"b"). A byte order mark is removed, and so are line endings (LF
    or CRLF), unless `keep_ends`. Only one block and one line are in memory. Raises FileError for a
    broken compressed file, or for a line over the limit `max_row_bytes`.
    """
    number, held, held_bytes = split.first, list[bytes](), 0
    limit = context.limits.max_row_bytes
    for block in _without_bom(split, context):
        *complete, last = block.split(b"\n")
        if complete:
            complete[0] = b"".join((*held, complete[0]))
            held, held_bytes = [], 0
        for line in complete:
            number += 1
            yield number, line + b"\n" if keep_ends else line.removesuffix(b"\r")
        held.append(last)
        held_bytes += len(last)
        if held_bytes > limit:
            raise _too_long(split.files[0], number + 1, limit)
    if held_bytes:
        line = b"".join(held)
        yield number + 1, line if keep_ends else line.removesuffix(b"\r")


def line_batches(split: Split, context: Context) -> Iterator[list[tuple[int, bytes]]]:
    """Yields the lines of a split that are not blank, in batches of limited size."""
    numbered = ((n, line) for n, line in lines(split, context) if line and not line.isspace())
    return in_batches(numbered, lambda item: len(item[1]))


def count_lines(split: Split, context: Context) -> Count:
    """The number of lines in a split, by their newlines, and how many of them are blank.

    `b"a\\n \\nb"` -> `Count("lines", 3, {"blank": 1})`. The end of the file ends the last line.
    """
    found = blanks = held_bytes = 0
    held_is_blank = True  # the line that the last block did not end
    for block in _without_bom(split, context):
        cut, last = block.find(b"\n"), block.rfind(b"\n")
        if cut >= 0:
            found += block.count(b"\n")
            blanks += held_is_blank and _is_blank(block[:cut])
            blanks += len(_BLANK_LINE.findall(block, cut))
            held_bytes, held_is_blank = 0, True
        held_bytes += len(block) - last - 1
        held_is_blank = held_is_blank and _is_blank(block[last + 1 :])
    found, blanks = found + (held_bytes > 0), blanks + (held_bytes > 0 and held_is_blank)
    return Count("lines", found, {"blank": blanks} if blanks else {})


def _is_blank(data: bytes) -> bool:
    return not data or data.isspace()


def decoded(number: int, line: bytes) -> str:
    """The line decoded as UTF-8. If a byte is invalid, raises a RowError that names the first
    invalid position."""
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
        yield next(blocks, b"").removeprefix(_BOM)
    yield from blocks


def _too_long(file: File, number: int, limit: int) -> FileError:
    return FileError(
        f"line {number} is longer than the limit of {limit} bytes: perhaps the file is not "
        "text with one record on each line.",
        file.uri,
        "Use another reader (`curate readers` lists them), or raise media.max_row_bytes.",
    )
