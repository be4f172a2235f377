"""Reading is counted against the disk: what a reader does not account for is a failure."""

import gzip
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate.engine.counting import CountedRead
from curate.ingest.captions.llava import Llava
from curate.ingest.captions.table import Table
from curate.ingest.formats.lines import count_lines, lines
from curate.ingest.reader import Context, Count, Failure, ReadBatch, Reader, Split
from manifests.errors import FileError, UnreadableError
from manifests.media import Media
from manifests.media.blobs import BlobFile
from manifests.run.counted import Counted, total_counted
from manifests.run.verify import verify
from manifests.storage import File
from tests.make import splits, write_captions
from tests.runs import caption_recipe, read_run, row_counts, run_engine


class Forgetful(Table):
    """Counts `there` lines, whatever the file has."""

    there: int | None = None
    is_whole: bool = True
    breaks: bool = False

    def count(self, split: Split, context: Context) -> Count | None:
        if self.there is None:
            return None
        return Count("lines", self.there, {"blank": 1}, self.is_whole)

    def read(self, split: Split, context: Context) -> Iterator[ReadBatch]:
        yield from super().read(split, context)
        if self.breaks:
            raise FileError("line 4 is too long.")


class Paired(Table):
    """Makes each record of two lines, as if the file had 11 lines."""

    def count(self, split: Split, context: Context) -> Count | None:
        return Count("lines", 11, {"blank": 1})

    def read(self, split: Split, context: Context) -> Iterator[ReadBatch]:
        for batch in super().read(split, context):
            yield batch._replace(units=2 * batch.records.num_rows)


class Named(Table):
    """Needs a file that is not a file of the source, and that is not there."""

    def read(self, split: Split, context: Context) -> Iterator[ReadBatch]:
        yield from super().read(split, context)
        raise UnreadableError("there is no such file", context.media.resolve("names.txt"))


LINES = '{"text": "one"}\n\n{"text": "two"}\n{"te\n'


def read(
    folder: Path, there: int | None, breaks: bool = False, is_whole: bool = True
) -> tuple[Counted, list[Failure]]:
    (folder / "a.jsonl").write_text(LINES)
    settings = {"there": there, "breaks": breaks, "is_whole": is_whole}
    return read_with(Forgetful(name="made", path="a.jsonl", text=("text",), **settings), folder)


def read_with(reader: Reader, folder: Path) -> tuple[Counted, list[Failure]]:
    [split] = splits(reader, str(folder))
    found = CountedRead(reader, split, Context(str(folder), Media(str(folder)), BlobFile()))
    failures = [failure for batch in found for failure in batch.failures]
    return found.counted, failures


def test_a_reader_that_accounts_for_every_unit_balances(tmp_path: Path) -> None:
    counted, failures = read(tmp_path, 4)
    assert [f.error for f in failures] == ["RowError"]
    assert str(counted) == "lines 4 = 2 in 2 records + 1 failed + 1 left aside (blank 1)"
    assert counted.balances


def test_units_that_a_reader_does_not_account_for_are_one_failure_that_counts_them(
    tmp_path: Path,
) -> None:
    counted, (_, failure) = read(tmp_path, 11)
    assert (failure.error, failure.origin, failure.units, failure.counts_as) == (
        "CountError", "a.jsonl", 7, 7
    )  # fmt: skip
    assert failure.message.startswith(
        "the file has 11 lines, but the reader Forgetful accounts for 4: 2 are in 2 records, 1 "
        "failed, and 1 were left aside."
    )
    assert counted.balances
    assert counted.failed == 8


def test_units_that_are_not_on_disk_are_a_failure_and_the_count_does_not_balance(
    tmp_path: Path,
) -> None:
    counted, (_, failure) = read(tmp_path, 3)
    assert "accounts for 4: 2 are in 2 records" in failure.message
    assert (failure.units, failure.counts_as) == (0, 1)
    assert not counted.balances
    assert str(counted).startswith("lines 3 is NOT 2 in 2 records")


def test_units_after_a_fault_that_stops_the_count_alone_are_no_failure(tmp_path: Path) -> None:
    counted, (failure,) = read(tmp_path, 3, is_whole=False)
    assert failure.error == "RowError"
    assert (counted.found, counted.uncounted, counted.balances) == (4, 1, True)


def test_a_range_that_cannot_be_read_counts_as_the_units_that_it_hides(tmp_path: Path) -> None:
    counted, (_, failure) = read(tmp_path, 104, breaks=True)
    assert (failure.error, failure.units, failure.counts_as) == ("FileError", 100, 100)
    assert counted.balances


def test_what_is_not_counted_is_called_so(tmp_path: Path) -> None:
    counted, _ = read(tmp_path, None)
    assert str(counted) == (
        "inputs 3 = 2 in 2 records + 1 failed; not counted on disk: 1 of the ranges that were read"
    )


def test_lost_samples_count_as_rows_at_the_rate_of_the_split(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(LINES)
    counted, (_, failure) = read_with(Paired(name="a", path="a.jsonl", text="text"), tmp_path)
    assert (counted.used, counted.records, failure.units, failure.counts_as) == (4, 2, 5, 2)


def test_a_file_of_no_source_that_cannot_be_read_stops_the_run(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(LINES)
    with pytest.raises(UnreadableError, match=r"names\.txt"):
        read_with(Named(name="a", path="a.jsonl", text="text"), tmp_path)


def test_a_failure_counts_as_its_rows_or_else_as_its_units() -> None:
    assert Failure("a", "a", "RowError", "", units=3).counts_as == 3
    assert Failure("a", "a", "RowError", "", units=3, rows=1).counts_as == 1


def test_counts_add_up_by_source_and_unit() -> None:
    a = Counted(source="a", unit="lines", found=2, used=2, records=2)
    b = Counted(source="a", unit="lines", found=3, used=1, records=1, left_aside={"blank": 2})
    c = Counted(source="a", unit="rows", found=1, failed=1)
    assert total_counted([a, c, b]) == [
        Counted(source="a", unit="lines", found=5, used=3, records=3, left_aside={"blank": 2}),
        c,
    ]


@pytest.mark.parametrize(
    ("data", "found", "blank"),
    [
        (b"", 0, 0),
        (b"a", 1, 0),
        (b"a\nb\n", 2, 0),
        (b"\n\n \t\r\n\na\n \n\nb\n  ", 9, 7),
        (b"\xef\xbb\xbf\na", 2, 1),
        (b"\xef\xbb\xbf", 0, 0),
        (b" " * 3_000_000 + b"\nx" + b" " * 3_000_000 + b"\n\n" + b"\n" * 2_000_000, 2_000_003, 0),
    ],
)
def test_lines_are_counted_as_they_are_read(
    tmp_path: Path, data: bytes, found: int, blank: int
) -> None:
    (tmp_path / "a.txt").write_bytes(data)
    split = Split((File("a.txt", "a.txt", len(data), 0),))
    context = Context(str(tmp_path), Media(str(tmp_path)), BlobFile())
    numbered = list(lines(split, context))
    blanks = sum(not line or line.isspace() for _, line in numbered)
    assert count_lines(split, context) == Count("lines", found, {"blank": blanks} if blanks else {})
    assert (len(numbered), blanks) == (found, blank or blanks)


def test_entries_that_are_no_files_are_failures_by_name(tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_captions(data, files=1)
    (data / "gone.jsonl").symlink_to("nowhere")
    os.mkfifo(data / "pipe.jsonl")
    recipe = caption_recipe()
    recipe["sources"][0]["path"] = "data"
    made = run_engine(recipe | {"max_quarantined": 0.9}, tmp_path, tmp_path / "out")
    assert row_counts(made)["read made"] == (42, 40, {}, {"FileError": 2})
    messages = [(q.origin, q.error, q.message[:30]) for q in read_run(tmp_path / "out").quarantine]
    assert messages == [
        ("data/gone.jsonl", "FileError", "the link points to nothing. Re"),
        ("data/pipe.jsonl", "FileError", "the path leads to a FIFO, sock"),
    ]
    assert [str(c) for c in made.counted] == [
        "files 7 = 1 read + 2 failed + 4 left aside (.jpg 4)",
        "lines 40 = 40 in 40 records",
    ]
    assert verify(str(tmp_path / "out")).faults == []


class Shrinking(Table):
    """Its file becomes shorter after the first batch was read, or before it."""

    left: int
    batches: int = 1

    def read(self, split: Split, context: Context) -> Iterator[ReadBatch]:
        batches = super().read(split, context)
        yield from itertools.islice(batches, self.batches)
        os.truncate(context.media.resolve(split.files[0].uri), self.left)
        yield from batches


ROWS = pa.table({"text": [f"a text, number {n}" for n in range(60_000)]})


@pytest.mark.parametrize("ending", ["parquet", "arrow", "stream.arrow"])
def test_a_table_that_becomes_shorter_while_it_is_read_is_a_failure_of_the_rest(
    tmp_path: Path, ending: str
) -> None:
    path = str(tmp_path / f"a.{ending}")
    if ending == "parquet":
        pq.write_table(ROWS, path, row_group_size=20_000)
    else:
        make = pa.ipc.new_stream if ending.startswith("stream") else pa.ipc.new_file
        with pa.OSFile(path, "wb") as file, make(file, ROWS.schema) as writer:
            writer.write_table(ROWS, max_chunksize=10_000)
    left = os.path.getsize(path) // 3
    reader = Shrinking(name="made", path=f"a.{ending}", text=("text",), left=left)
    counted, failures = read_with(reader, tmp_path)
    assert counted.balances
    assert (counted.found, counted.uncounted) == (60_000, 0)
    assert 0 < counted.used < 60_000
    assert [(f.error, f.units) for f in failures] == [("FileError", 60_000 - counted.used)]


def test_lines_of_a_file_that_becomes_shorter_before_it_is_read_are_missed(tmp_path: Path) -> None:
    lines_of_text = b'{"text": "one"}\n' * 40
    (tmp_path / "a.jsonl").write_bytes(lines_of_text)
    half = len(lines_of_text) // 2
    reader = Shrinking(name="made", path="a.jsonl", text=("text",), left=half, batches=0)
    counted, failures = read_with(reader, tmp_path)
    assert str(counted) == "lines 40 = 0 in 0 records + 40 failed"
    assert [(f.error, f.units, f.counts_as) for f in failures] == [("FileError", 40, 40)]


def test_the_lines_before_the_fault_of_a_compressed_file_are_read_and_counted(
    tmp_path: Path,
) -> None:
    rows = b"".join(b'{"text": "%s"}\n' % os.urandom(20).hex().encode() for _ in range(20_000))
    packed = gzip.compress(rows)
    (tmp_path / "a.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    for reader in (
        Table(name="made", path="a.jsonl.gz", text=("text",)),
        Llava(name="made", path="a.jsonl.gz"),
    ):
        [split] = splits(reader, str(tmp_path))
        read = CountedRead(reader, split, Context(str(tmp_path), Media(str(tmp_path)), BlobFile()))
        failures = [failure for batch in read for failure in batch.failures]
        assert (read.counted.unit, read.counted.balances) == ("lines", True)
        assert read.counted.found > 5_000
        assert read.counted.uncounted == 1
        assert (failures[-1].error, failures[-1].units, failures[-1].counts_as) == (
            "FileError",
            0,
            1,
        )


def test_a_header_that_is_refused_hides_the_lines_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,b;text\n" + "one,two\n" * 9)
    reader = Table(name="made", path="a.csv", text=("text",))
    counted, failures = read_with(reader, tmp_path)
    assert str(counted) == "lines 10 = 0 in 0 records + 10 failed"
    assert [(f.error, f.counts_as) for f in failures] == [("FileError", 10)]


def test_a_damaged_row_group_counts_as_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(ROWS, path, row_group_size=20_000, compression="none", use_dictionary=False)
    data = bytearray(path.read_bytes())
    second = pq.ParquetFile(path).metadata.row_group(1).column(0).data_page_offset
    data[second : second + 8] = b"\xff" * 8
    path.write_bytes(data)
    counted, failures = read_with(Table(name="made", path="a.parquet", text=("text",)), tmp_path)
    assert str(counted) == "rows 60,000 = 40,000 in 40,000 records + 20,000 failed"
    assert [(f.error, f.units, f.counts_as) for f in failures] == [("FileError", 20_000, 20_000)]
