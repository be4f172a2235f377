"""Tables in text: delimiters, quotes and JSON by evidence, and every line accounted for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from curate.engine.counting import CountedRead
from curate.ingest.captions.table import Table
from curate.ingest.captions.tsv import Tsv
from curate.ingest.reader import Context, Failure, Reader
from manifests.errors import FileError
from manifests.media import Media
from manifests.media.blobs import BlobFile
from tests.ingest.expected import rows_and_failures
from tests.make import make_image, splits

QUOTED = '"a sign says ""OPEN"""\tp1.jpg\n"two\nlines"\tp2.jpg\n"a tab\there"\tp3.jpg\n'
QUOTED_TEXTS = ['a sign says "OPEN"', "two\nlines", "a tab\there"]


def read(folder: Path, name: str, data: str, **settings: Any) -> tuple[list[Any], list[Failure]]:
    (folder / name).write_text(data, newline="")
    reader = Table(name="own", path=name, **{"text": "caption", **settings})
    return rows_and_failures(reader, folder)


def books(reader: Reader, folder: Path) -> str:
    """What became of the units of a source of one split."""
    [split] = splits(reader, str(folder))
    found = CountedRead(reader, split, Context(str(folder), Media(str(folder)), BlobFile()))
    assert list(found)
    assert found.counted.balances
    return str(found.counted)


def captions(rows: list[Any]) -> list[str | None]:
    """The last text of each row; None for a row without one."""
    return [next((one["text"] for one in row["content"] if one["text"]), None) for row in rows]


@pytest.mark.parametrize("delimiter", [",", ";", "|", "\t"])
def test_the_delimiter_is_the_one_that_gives_the_columns_of_the_recipe(
    tmp_path: Path, delimiter: str
) -> None:
    data = 'n;caption\n1;"a; cat, and | more"\n'.replace(";", delimiter)
    rows, failures = read(tmp_path, "a.csv", data)
    assert (captions(rows), failures) == ([f"a{delimiter} cat, and | more"], [])


def test_a_header_with_two_readings_is_refused_and_a_setting_chooses(tmp_path: Path) -> None:
    data = "caption,x;y;caption\none,two;y;three\n"
    with pytest.raises(
        FileError, match="2 columns separated by comma or 3 columns separated by semi"
    ) as e:
        read(tmp_path, "a.csv", data)
    assert e.value.fix == "Set `delimiter` to the character between columns."
    assert captions(read(tmp_path, "a.csv", data, delimiter=",")[0]) == ["one"]
    assert captions(read(tmp_path, "a.csv", data, delimiter=";")[0]) == ["three"]


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_arrays_of_objects_are_tables_of_elements(tmp_path: Path, name: str) -> None:
    rows, failures = read(tmp_path, name, '[{"caption": "a cat"},\n 7,\n {"caption": ["", "b"]}]')
    assert captions(rows) == ["a cat", "b"]
    assert [row["origin"] for row in rows] == [f"{name}#0", f"{name}#2"]
    assert [failure.origin for failure in failures] == [f"{name}#1"]
    assert books(Table(name="own", path=name, text=("caption",)), tmp_path) == (
        "elements 3 = 2 in 2 records + 1 failed"
    )


def test_lines_under_json_are_read_and_a_broken_first_line_is_lost_alone(tmp_path: Path) -> None:
    rows, [failure] = read(tmp_path, "a.json", 'ption": "x"}\n{"caption": "a"}\n\n{"caption": "b"}')
    assert captions(rows) == ["a", "b"]
    assert failure.origin == "a.json#1"
    assert books(Table(name="own", path="a.json", text=("caption",)), tmp_path) == (
        "lines 4 = 2 in 2 records + 1 failed + 1 left aside (blank 1)"
    )


def test_other_line_separators_of_unicode_are_characters_of_a_text(tmp_path: Path) -> None:
    rows, failures = read(tmp_path, "a.jsonl", '{"caption": "a\u2028b\u0085c"}\r\n')
    assert (captions(rows), failures) == (["a\u2028b\u0085c"], [])


def test_a_recipe_without_text_and_image_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"text is \[\] and image is not set"):
        Table(name="own", path="a.jsonl", text=())


def test_a_tsv_of_a_data_frame_is_unquoted_and_every_line_is_counted(tmp_path: Path) -> None:
    rows, failures = read(tmp_path, "a.tsv", "caption\tfile\n\n" + QUOTED)
    assert (captions(rows), failures) == (QUOTED_TEXTS, [])
    assert books(Table(name="own", path="a.tsv", text=("caption",)), tmp_path) == (
        "lines 6 = 4 in 3 records + 2 left aside (blank 1, header 1)"
    )


def test_pairs_of_a_data_frame_are_unquoted_and_every_line_is_counted(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        (tmp_path / f"p{number}.jpg").write_bytes(make_image())
    (tmp_path / "a.tsv").write_text(QUOTED)
    reader = Tsv(name="own", path="a.tsv", media_root=".")
    rows, failures = rows_and_failures(reader, tmp_path)
    assert (captions(rows), failures) == (QUOTED_TEXTS, [])
    assert books(reader, tmp_path) == "lines 4 = 4 in 3 records"
    plain = reader.model_copy(update={"quotes": "none"})
    rows, failures = rows_and_failures(plain, tmp_path)
    assert captions(rows)[0] == '"a sign says ""OPEN"""'


def test_a_range_of_csv_lines_that_cannot_be_read_counts_as_its_lines(tmp_path: Path) -> None:
    data = 'caption,n\n"a, b\nc, d, e\nf" oops,1\n"two\nlines",2\n\nlast,3\n'
    rows, [failure] = read(tmp_path, "a.csv", data)
    assert captions(rows) == ["two\nlines", "last"]
    assert (failure.origin, failure.units, failure.counts_as) == ("a.csv#2", 3, 3)
    assert books(Table(name="own", path="a.csv", text=("caption",)), tmp_path) == (
        "lines 8 = 3 in 2 records + 3 failed + 2 left aside (blank 1, header 1)"
    )


def test_a_row_of_several_lines_without_its_image_counts_once(tmp_path: Path) -> None:
    (tmp_path / "p.jpg").write_bytes(make_image())
    data = 'caption,file\n"two\nlines",gone.jpg\na,p.jpg\n'
    _, [failure] = read(tmp_path, "a.csv", data, image="file", media_root=".")
    assert (failure.units, failure.counts_as) == (2, 1)


def test_the_text_of_a_list_is_its_first_element_that_is_neither_null_nor_blank(
    tmp_path: Path,
) -> None:
    lists = [[None, "x"], ["", " ", "y"], [], [None], None, ["z", "w"]]
    pq.write_table(pa.table({"caption": lists}), tmp_path / "a.parquet")
    found = rows_and_failures(Table(name="own", path="a.parquet", text=("caption",)), tmp_path)
    expected = ["x", "y", None, None, None, "z"]
    assert captions(found[0]) == expected
    lines = "".join(f'{{"caption": {pa_json(value)}}}\n' for value in lists)
    assert captions(read(tmp_path, "a.jsonl", lines)[0]) == expected


def pa_json(value: object) -> str:
    return repr(value).replace("None", "null").replace("'", '"')


def test_a_header_with_a_name_twice_is_refused_with_the_name_and_the_columns(
    tmp_path: Path,
) -> None:
    for name, mark in (("a.csv", ","), ("a.tsv", "\t")):
        data = "caption,x,caption,x\nfirst,1,,2\n".replace(",", mark)
        with pytest.raises(FileError, match="'caption' for columns 1 and 3") as error:
            read(tmp_path, name, data)
        assert "Give each column and each field its own name" in str(error.value)


def test_several_columns_without_a_name_are_named_by_their_position(tmp_path: Path) -> None:
    rows, failures = read(tmp_path, "a.csv", "caption,x,, \nfirst,1,2,\n")
    assert (captions(rows), failures) == (["first"], [])
    assert rows[0]["meta"] == '{"x":"1","column 3":"2","column 4":""}'
    rows, _ = read(tmp_path, "a.csv", ",caption\n0,first\n")
    assert rows[0]["meta"] == '{"":"0"}'


def test_a_table_whose_lines_end_with_a_carriage_return_alone_is_named_as_such(
    tmp_path: Path,
) -> None:
    with pytest.raises(FileError, match="end with a carriage return alone"):
        read(tmp_path, "a.csv", "caption,x\rhi,1\r")
