"""Rows of quoted fields: as Python's csv module reads them, and the next row after an error."""

from __future__ import annotations

import csv
import io
import random
import tracemalloc
from itertools import chain
from typing import NamedTuple

import pytest

from curate.ingest.formats.csv_rows import complete_row, csv_rows, is_complete
from curate.ingest.formats.lines import Block
from manifests.errors import RowError


class Row(NamedTuple):
    """A row, or its error, and its first and last line."""

    first: int
    last: int
    fields: list[str] | RowError


def rows_of(
    text: str, width: int, delimiter: str = ",", limit: int = 1 << 26, block_lines: int = 1000
) -> list[Row]:
    data = text.encode("utf-8", "surrogateescape")
    lines = [line + b"\n" for line in data.split(b"\n")]
    lines[-1:] = [lines[-1][:-1]] if lines[-1] != b"\n" else []
    starts = range(0, len(lines), block_lines)
    blocks = [Block(start + 1, lines[start : start + block_lines]) for start in starts]
    rows = chain.from_iterable(csv_rows(blocks, delimiter, width, limit))
    return [
        Row(first, first + count - 1, list(fields) if isinstance(fields, tuple) else fields)
        for first, fields, count in rows
    ]


def outcome(text: str, width: int, limit: int = 1 << 26) -> list[object]:
    """The fields of each row, and the lines of each failure."""
    return [
        (row.first, row.last) if isinstance(row.fields, RowError) else row.fields
        for row in rows_of(text, width, limit=limit)
    ]


def _table(random_: random.Random, width: int, newline: str, delimiter: str) -> str:
    parts = ["a", "b c", '"', '""', delimiter, "\n", "\r\n", "é", " ", ""]
    texts = [
        ["".join(random_.choices(parts, k=random_.randrange(5))) for _ in range(width)]
        for _ in range(random_.randrange(1, 12))
    ]
    out = io.StringIO()
    quoting = random_.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
    csv.writer(out, delimiter=delimiter, lineterminator=newline, quoting=quoting).writerows(texts)
    return out.getvalue()


def test_random_sound_tables_are_read_as_the_csv_module_reads_them() -> None:
    random_ = random.Random(3)
    for _ in range(500):
        delimiter, newline = random_.choice(",;\t|"), random_.choice(["\n", "\r\n"])
        width = random_.randrange(2, 5)
        text = _table(random_, width, newline, delimiter)
        found = [row.fields for row in rows_of(text, width, delimiter)]
        assert found == list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))


def test_every_line_of_random_damaged_tables_is_in_one_row_or_failure() -> None:
    random_ = random.Random(4)
    for _ in range(1000):
        text = list(_table(random_, 2, "\n", ",").replace("\r", ""))
        for _ in range(random_.randrange(1, 4)):
            text[random_.randrange(len(text))] = random_.choice('",\nx')
        data = "".join(text)
        covered = [n for row in rows_of(data, 2) for n in range(row.first, row.last + 1)]
        assert covered == list(range(1, data.count("\n") + (not data.endswith("\n")) + 1))


def test_rows_and_errors_are_the_same_for_every_block_size() -> None:
    random_ = random.Random(5)
    for _ in range(1000):
        text = list(_table(random_, 2, random_.choice(["\n", "\r\n"]), ","))
        for _ in range(random_.randrange(4)):
            text[random_.randrange(len(text))] = random_.choice('",\nx\r\0\udcff')
        data, limit = "".join(text), random_.choice([20, 1 << 26])
        found = [_shown(rows_of(data, 2, limit=limit, block_lines=n)) for n in (1, 2, 7, 1000)]
        assert all(rows == found[0] for rows in found), data


def _shown(rows: list[Row]) -> list[str]:
    return [str(row) for row in rows]


def test_rows_of_another_width_do_not_copy_the_block() -> None:
    def memory(lines: int) -> int:
        block = Block(1, [b"1,2,3\n"] * lines)
        rows = csv_rows([block], ",", 2, 1 << 26)
        assert [len(next(rows)), len(next(rows))] == [1, 1]
        tracemalloc.start()
        assert isinstance(next(rows)[0][1], RowError)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    assert memory(100_000) < 2 * memory(1000)


def test_a_quote_that_is_not_closed_costs_its_own_line() -> None:
    sound = "".join(f"{n},text {n}\n" for n in range(3, 3000))
    text = f'1,one\n2,"open\n{sound}3000,"quoted, text"\n3001,last\n'
    found = outcome(text, 2)
    assert [row for row in found if isinstance(row, tuple)] == [(2, 2)]
    assert len(found) == 3001
    assert found[-2:] == [["3000", "quoted, text"], ["3001", "last"]]


def test_a_quote_that_is_never_closed_costs_its_own_line() -> None:
    assert outcome('1,"open\n2,two\n3,three\n', 2) == [(1, 1), ["2", "two"], ["3", "three"]]


def test_a_quote_after_a_row_of_uncertain_end_is_not_read_as_text() -> None:
    text = '1,"open\nmiddle\nend" x\n2,c "d"\n3,last\n'
    assert outcome(text, 2) == [(1, 3), (4, 4), ["3", "last"]]
    assert outcome('2,c "d"\n', 2) == [["2", 'c "d"']]
    text = '1,"open\nmiddle\nend" x\n2,one,too many\n3,c "d"\n4,last\n'
    assert outcome(text, 2) == [(1, 3), (4, 4), (5, 5), ["4", "last"]]


@pytest.mark.parametrize("text", ["1,aaaaaaaaaaaaaaaaa\n", '1,"aaaaaaaaaaaaa\nb"\n'])
def test_a_row_of_as_many_bytes_as_the_limit_is_read(text: str) -> None:
    assert len(text) == 20
    assert isinstance(outcome(text, 2, limit=20)[0], list)
    assert isinstance(outcome(text, 2, limit=19)[0], tuple)


def test_reading_never_goes_on_in_the_middle_of_a_field() -> None:
    text = '1,"para one, x, y\npara two, a, b\nend" oops,z\n5,6,7\n'
    assert outcome(text, 3) == [(1, 3), ["5", "6", "7"]]
    assert outcome('1,"two lines\nof a, poem" oops\n5,6\n', 2) == [(1, 2), ["5", "6"]]


def test_a_field_of_many_megabytes_and_lines_is_a_record() -> None:
    long = "a paragraph, with commas\n" * 400_000
    [row] = rows_of(f'1,"{long}"\n', 2)
    assert (row.fields, row.last) == (["1", long], 400_001)


def test_a_row_over_the_limit_is_a_failure_that_names_the_setting() -> None:
    first, *_, last = rows_of('1,"' + "x y\n" * 30 + '"\n2,two\n', 2, limit=100)
    assert isinstance(first.fields, RowError)
    assert "the row is longer than the limit of 100 bytes." in str(first.fields)
    assert "media.max_row_bytes" in str(first.fields)
    assert last.fields == ["2", "two"]


@pytest.mark.parametrize(
    ("row", "is_sound"),
    [("a,b", True), ('a,"b ""c"" d"', True), ('a,b "c"', False), ('"a" b,c', False), ('"a', False)],
)
def test_a_row_is_complete_if_quotes_are_around_fields_and_doubled(
    row: str, is_sound: bool
) -> None:
    assert is_complete(row, ",") is is_sound


def test_the_fields_of_a_complete_row_keep_their_quotes() -> None:
    assert complete_row('a,,"b,""c""",\n', ",") == ["a", "", '"b,""c"""', ""]
