"""Text files by lines: cut at newlines into splits, and streamed with exact line numbers."""

from __future__ import annotations

from collections.abc import Iterator

from curate.ingest.formats.chunks import is_compressed, read_chunks
from curate.ingest.reader import BATCH_ROWS, SPLIT_BYTES, Context, Split
from manifests import storage
from manifests.errors import FileError, RowError
from manifests.storage import File

BATCH_BYTES = 32 << 20
MAX_LINE_BYTES = 256 << 20
"""A longer line is no line (ours): it would otherwise be held in memory whole."""
_BOM = b"\xef\xbb\xbf"


def line_splits(file: File, context: Context, split_bytes: int = SPLIT_BYTES) -> Iterator[Split]:
    """Splits of at least `split_bytes` that end after a newline, or with the file.

    `start` and `stop` are bytes; `first` counts the lines before the split. A compressed file
    is one split, for it can only be read from its start.
    """
    if is_compressed(file.uri) or file.size <= split_bytes:
        yield Split((file,))
        return
    start = first = offset = seen = 0
    for block in read_chunks(storage.resolve(context.base, file.uri)):
        passed = 0
        while cut := block.find(b"\n", max(passed, start + split_bytes - 1 - offset)) + 1:
            seen += block.count(b"\n", passed, cut)
            yield Split((file,), start, offset + cut, first)
            start, first, passed = offset + cut, seen, cut
        seen += block.count(b"\n", passed)
        offset += len(block)
    if start < offset:
        yield Split((file,), start, offset, first)


def lines(split: Split, context: Context) -> Iterator[tuple[int, bytes]]:
    """Each line with its number in the file, counted from 1 as editors do.

    Lines come without their end (LF or CRLF) and without a byte order mark; a last line needs no
    end. Memory is one block and one line. Raises FileError for a broken compressed file, or a
    line over MAX_LINE_BYTES.
    """
    number, held, held_bytes = split.first, list[bytes](), 0
    for block in _unmarked(split, context):
        *whole, last = block.split(b"\n")
        if whole:
            whole[0] = b"".join((*held, whole[0]))
            held, held_bytes = [], 0
        for line in whole:
            number += 1
            yield number, line.removesuffix(b"\r")
        held.append(last)
        held_bytes += len(last)
        if held_bytes > MAX_LINE_BYTES:
            raise _too_long(split.files[0], number + 1)
    if held_bytes:
        yield number + 1, b"".join(held).removesuffix(b"\r")


def line_batches(split: Split, context: Context) -> Iterator[list[tuple[int, bytes]]]:
    """The lines of a split that are not blank, BATCH_ROWS or BATCH_BYTES of them at a time."""
    batch: list[tuple[int, bytes]] = []
    size_bytes = 0
    for number, line in lines(split, context):
        if not line or line.isspace():
            continue
        batch.append((number, line))
        size_bytes += len(line)
        if len(batch) == BATCH_ROWS or size_bytes > BATCH_BYTES:
            yield batch
            batch, size_bytes = [], 0
    if batch:
        yield batch


def decoded(number: int, line: bytes) -> str:
    """The line as text; RowError with the place of the first byte that is not UTF-8."""
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        at = error.start
        fault = f"line {number}, byte {at}: 0x{line[at]:02x} is not UTF-8."
        raise RowError(fault, fix="Convert the file to UTF-8.") from None


def _unmarked(split: Split, context: Context) -> Iterator[bytes]:
    place = storage.resolve(context.base, split.files[0].uri)
    blocks = read_chunks(place, split.start, split.stop)
    if split.start == 0:
        yield next(blocks, b"").removeprefix(_BOM)
    yield from blocks


def _too_long(file: File, number: int) -> FileError:
    return FileError(
        f"line {number} is longer than {MAX_LINE_BYTES} bytes: this is no text by lines.",
        file.uri,
        "Name the reader that fits: `curate readers` lists them.",
    )
