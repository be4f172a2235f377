"""Lines: every one once, with its own number, however the file is cut."""

from __future__ import annotations

import bz2
import gzip
from pathlib import Path

import pyarrow as pa
import pytest

from curate.ingest.formats import batching, chunks
from curate.ingest.formats.lines import (
    LongLine,
    decoded,
    line_batches,
    line_blocks,
    line_splits,
    lines,
)
from curate.ingest.reader import Context, Split
from manifests.errors import FileError, InputError, RowError, StorageError
from manifests.media import Limits, Media
from manifests.media.blobs import BlobFile
from manifests.storage import File


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(str(tmp_path), Media(str(tmp_path)), BlobFile())


def written(context: Context, data: bytes, name: str = "a.txt") -> File:
    path = Path(context.base) / name
    path.write_bytes(data)
    return File(name, name, len(data), 0)


def all_lines(context: Context, file: File, split_bytes: int = 1 << 30) -> list[tuple[int, bytes]]:
    splits = line_splits(file, context, split_bytes)
    return [line for split in splits for line in lines(split, context)]


@pytest.mark.parametrize("split_bytes", [1, 2, 3, 7, 10, 64, 1000])
def test_every_line_is_read_once_with_its_number_for_any_splits(
    context: Context, split_bytes: int
) -> None:
    texts = [b"x" * (n * 7 % 23) for n in range(100)]
    file = written(context, b"\n".join(texts))
    wanted = list(enumerate(texts, 1))
    assert all_lines(context, file, split_bytes) == wanted


@pytest.mark.parametrize("block_bytes", [1, 2, 3, 5])
def test_lines_and_cuts_are_the_same_for_every_block_size(
    context: Context, monkeypatch: pytest.MonkeyPatch, block_bytes: int
) -> None:
    data = b"\xef\xbb\xbfone\r\ntwo\n\nthree and more\r\n\r\nlast"
    file = written(context, data)
    wanted = [(1, b"one"), (2, b"two"), (3, b""), (4, b"three and more"), (5, b""), (6, b"last")]
    cuts = list(line_splits(file, context, 8))
    monkeypatch.setattr(chunks, "CHUNK_BYTES", max(3, block_bytes))  # a mark is three bytes
    assert list(line_splits(file, context, 8)) == cuts
    assert [line for cut in cuts for line in lines(cut, context)] == wanted


def test_splits_end_after_the_first_newline_past_their_size_and_count_the_lines_before(
    context: Context,
) -> None:
    file = written(context, b"one\ntwo\nthree\nfour\n")
    assert list(line_splits(file, context, 5)) == [
        Split((file,), 0, 8, 0),
        Split((file,), 8, 14, 2),
        Split((file,), 14, 19, 3),
    ]


def test_a_newline_at_the_very_end_of_a_split_ends_it(context: Context) -> None:
    file = written(context, b"one\ntwo\nx\n")
    assert [(s.start, s.stop) for s in line_splits(file, context, 4)] == [(0, 4), (4, 8), (8, 10)]


def test_a_file_no_larger_than_a_split_is_not_scanned(context: Context) -> None:
    file = File("not-there.txt", "not-there.txt", 10, 0)
    assert list(line_splits(file, context, 10)) == [Split((file,))]


def test_an_empty_file_has_no_line(context: Context) -> None:
    assert all_lines(context, written(context, b"")) == []
    assert all_lines(context, written(context, b"\xef\xbb\xbf")) == []


def test_a_file_of_one_newline_has_one_empty_line(context: Context) -> None:
    assert all_lines(context, written(context, b"\n")) == [(1, b"")]


@pytest.mark.parametrize("ending", ["gz", "zst", "bz2"])
def test_a_compressed_file_is_one_split_read_as_its_text(context: Context, ending: str) -> None:
    data = b"\xef\xbb\xbfone\r\ntwo\nthree"
    packed = {
        "gz": gzip.compress(data[:8]) + gzip.compress(data[8:]),  # two members
        "zst": pa.compress(data, "zstd", asbytes=True),
        "bz2": bz2.compress(data),
    }[ending]
    file = written(context, packed, f"a.txt.{ending}")
    assert list(line_splits(file, context, 1)) == [Split((file,))]
    assert all_lines(context, file) == [(1, b"one"), (2, b"two"), (3, b"three")]


def test_a_truncated_compressed_file_is_an_input_error(context: Context) -> None:
    packed = gzip.compress(bytes(range(256)) * 1000)
    file = written(context, packed[:-20], "cut.txt.gz")
    with pytest.raises(InputError, match="the gzip file is broken: Truncated"):
        all_lines(context, file)


def test_a_missing_file_is_a_storage_error_that_names_it(context: Context) -> None:
    for name in ("none.txt", "none.txt.gz"):
        with pytest.raises(StorageError, match=name):
            all_lines(context, File(name, name, 10, 0))


@pytest.mark.parametrize("keep_ends", [True, False])
@pytest.mark.parametrize("block_bytes", [10, 99, 5000])
def test_a_line_over_the_limit_is_an_error_and_the_lines_after_it_are_read(
    context: Context, monkeypatch: pytest.MonkeyPatch, block_bytes: int, keep_ends: bool
) -> None:
    monkeypatch.setattr(chunks, "CHUNK_BYTES", block_bytes)
    context = context._replace(media=Media(context.base, limits=Limits(max_row_bytes=100)))
    texts = [b"short", b"x" * 1000, b"y" * 100, b"z" * 101, b"end"]
    file = written(context, b"\n".join(texts))
    blocks = line_blocks(Split((file,)), context, keep_ends)
    found = [line for block in blocks for line in block.lines]
    read = [None if isinstance(line, LongLine) else line.rstrip(b"\n") for line in found]
    assert read == [b"short", None, b"y" * 100, None, b"end"]
    with pytest.raises(
        RowError, match=r"line 2 has 1000 bytes, more than the limit of 100\. Raise"
    ):
        decoded(2, found[1])


def test_the_last_line_over_the_limit_is_never_in_memory(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "CHUNK_BYTES", 10)
    context = context._replace(media=Media(context.base, limits=Limits(max_row_bytes=100)))
    [(_, line)] = all_lines(context, written(context, b"x" * 1000))
    assert (isinstance(line, LongLine), len(line)) == (True, 1)


def test_batches_skip_blank_lines_and_keep_the_numbers_of_the_others(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "BATCH_ROWS", 2)
    split = Split((written(context, b"\none\n \t\r\ntwo\n\nthree\n"),))
    assert list(line_batches(split, context)) == [[(2, b"one"), (4, b"two")], [(6, b"three")]]


def test_batches_are_bounded_in_bytes(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "BATCH_BYTES", 3)
    split = Split((written(context, b"four\nfive\na\nb\n"),))
    assert [len(batch) for batch in line_batches(split, context)] == [1, 1, 2]


def test_a_byte_that_is_not_utf8_is_an_error_with_its_line_and_position() -> None:
    assert decoded(7, "né".encode()) == "né"
    with pytest.raises(
        RowError, match=r"^line 7, byte 2: 0xff is not UTF-8\. Convert the file to UTF-8\.$"
    ):
        decoded(7, b"ab\xff")


def test_lines_that_end_with_a_carriage_return_alone_are_refused(context: Context) -> None:
    """They would be one line. A single line may end in any way, and CRLF is a line end."""
    with pytest.raises(FileError, match="end with a carriage return alone"):
        all_lines(context, written(context, b"a,b\r1,2\r"))
    assert all_lines(context, written(context, b"a\r")) == [(1, b"a")]
    assert all_lines(context, written(context, b"a\rb\r\nc")) == [(1, b"a\rb"), (2, b"c")]
