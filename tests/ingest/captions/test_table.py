"""Any table: JSON lines, CSV, TSV and parquet say the same when they hold the same."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate.ingest.captions.table import Table
from curate.ingest.formats import batching, lines
from curate.ingest.reader import Context, Failure, Head, Split
from manifests.errors import InputError, StorageError
from manifests.media import FIX_MISSING_FILE, Media
from manifests.media.blobs import BlobFile
from manifests.storage import File
from tests.ingest.expected import caption_record, captions, rows_and_failures
from tests.make import make_image, read_all

JPEG = make_image(64, 48)
CONVERT = "Convert the file to UTF-8."
JSONL = b"""\
{"file": "dog.jpg", "short": "", "long": "a dog runs", "licence": "CC0"}
{"file": "cat.jpg", "short": "a cat", "long": "a cat sits", "licence": "CC0"}
"""
CSV = b"""\
file,short,long,licence
dog.jpg,,a dog runs,CC0
cat.jpg,"a cat","a cat sits",CC0
"""
TSV = b"file\tshort\tlong\tlicence\ndog.jpg\t\ta dog runs\tCC0\ncat.jpg\ta cat\ta cat sits\tCC0\n"


@pytest.fixture(autouse=True)
def _media(tmp_path: Path) -> None:
    (tmp_path / "media" / "sub").mkdir(parents=True)
    for name in ("dog.jpg", "cat.jpg", "sub/é.jpg"):
        (tmp_path / "media" / name).write_bytes(JPEG)


def read(
    folder: Path, data: bytes, name: str = "a.jsonl", **settings: Any
) -> tuple[list[Any], list[Failure]]:
    (folder / name).write_bytes(data)
    return read_there(folder, name, **settings)


def read_there(folder: Path, name: str, **settings: Any) -> tuple[list[Any], list[Failure]]:
    usual = {"text": ["short", "long"], "image": "file", "media_root": "media"}
    return rows_and_failures(Table(name="own", path=name, **{**usual, **settings}), folder)


def test_a_record_has_the_image_of_the_path_the_first_text_and_other_columns_in_meta(
    tmp_path: Path,
) -> None:
    rows, failures = read(tmp_path, JSONL)
    assert failures == []
    assert captions(rows) == ["a dog runs", "a cat"]
    assert rows[1] == caption_record(
        "own",
        "a.jsonl#2",
        "a cat",
        '{"short":"a cat","long":"a cat sits","licence":"CC0"}',
        uri="media/cat.jpg",
        length=len(JPEG),
        mime="image/jpeg",
        width=64,
        height=48,
    )


@pytest.mark.parametrize(
    ("name", "data", "first"),
    [
        ("a.csv", CSV, 2),
        ("a.tsv", TSV, 2),
        ("a.jsonl.gz", gzip.compress(JSONL, mtime=0), 1),
        ("a.csv.gz", gzip.compress(CSV, mtime=0), 2),
        ("a.ndjson.zst", pa.compress(JSONL, "zstd", asbytes=True), 1),
        ("a.tsv", b"\xef\xbb\xbf" + TSV.replace(b"\n", b"\r\n"), 2),
        ("a.csv", b"\xef\xbb\xbf" + CSV.replace(b"\n", b"\r\n").strip(), 2),
        ("a.jsonl", b"\xef\xbb\xbf\n" + JSONL.replace(b"\n", b"\r\n").strip(), 2),
    ],
)
def test_every_text_format_gives_the_same_records_numbered_by_line(
    tmp_path: Path, name: str, data: bytes, first: int
) -> None:
    wanted, _ = read(tmp_path, JSONL)
    rows, failures = read(tmp_path, data, name)
    assert failures == []
    assert [row["origin"] for row in rows] == [f"{name}#{first}", f"{name}#{first + 1}"]
    for column in ("content", "media", "meta"):
        assert [row[column] for row in rows] == [row[column] for row in wanted]


def test_parquet_gives_the_same_records_numbered_by_row(tmp_path: Path) -> None:
    wanted, _ = read(tmp_path, JSONL)
    table = pa.Table.from_pylist([orjson.loads(line) for line in JSONL.splitlines()])
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=1)
    rows, failures = read_there(tmp_path, "a.parquet")
    assert failures == []
    assert [row["origin"] for row in rows] == ["a.parquet#0", "a.parquet#1"]
    for column in ("content", "media", "meta"):
        assert [row[column] for row in rows] == [row[column] for row in wanted]


def test_a_text_named_alone_stays_out_of_meta_and_language_has_its_column(tmp_path: Path) -> None:
    row = {"file": "sub/é.jpg", "caption": "un chat", "lang": "fr", "n": [1, {"a": None}]}
    settings = {"text": "caption", "language": "lang"}
    (row_read,), _ = read(tmp_path, orjson.dumps(row), **settings)
    assert (row_read["language"], row_read["meta"]) == ("fr", '{"n":[1,{"a":null}]}')
    assert row_read["media"][0]["uri"] == "media/sub/é.jpg"
    pq.write_table(pa.Table.from_pylist([row | {"n": 1}]), tmp_path / "a.parquet")
    (row_read,), _ = read_there(tmp_path, "a.parquet", **settings)
    assert (row_read["language"], row_read["meta"]) == ("fr", '{"n":1}')


def test_a_row_without_text_is_its_image_alone(tmp_path: Path) -> None:
    data = JSONL + b'{"file": "dog.jpg"}\n{"file": "dog.jpg", "short": null, "long": " "}\n'
    rows, failures = read(tmp_path, data)
    assert failures == []
    assert captions(rows) == ["a dog runs", "a cat", None, None]
    rows, _ = read(tmp_path, b'{"file": "dog.jpg"}\n', text=[])
    assert (captions(rows), rows[0]["meta"]) == ([None], "{}")


def test_texts_may_be_numbers_or_lists_whose_first_text_is_taken(
    tmp_path: Path,
) -> None:
    data = b'{"file": "dog.jpg", "t": 7}\n{"file": "cat.jpg", "t": ["", "a", "b"]}\n'
    rows, _ = read(tmp_path, data, text="t")
    assert captions(rows) == ["7", "a"]
    assert [row["meta"] for row in rows] == ["{}", '{"t":["","a","b"]}']


def test_json_lines_that_are_no_row_are_failures_with_line_and_position(tmp_path: Path) -> None:
    bad = [
        b'{"file": "dog.jpg", "short": "a" ',
        b"[1, 2]",
        b'{"file": "dog.jpg", "short": "caf\xe9"}',
        b'{"file": "dog.jpg", "short": {"en": "a"}}',
        b'{"short": "a"}',
        b'{"file": "", "short": "a"}',
        b'{"file": 7, "short": "a"}',
        b'{"file": ["dog.jpg"], "short": "a"}',
        b'{"file": "../a.jsonl", "short": "a"}',
        b'{"file": "none.jpg", "short": "a"}',
        b'{"file": "sub", "short": "a"}',
        b'{"file": "a\\u0000.jpg", "short": "a"}',
        b'{"file": "\\ud800.jpg", "short": "a"}',
        b"[" * 100_000,
    ]
    rows, failures = read(tmp_path, JSONL + b"\n\n" + b"\n".join(bad))
    assert len(rows) == 2
    assert [failure.origin for failure in failures] == [f"a.jsonl#{n}" for n in range(5, 19)]
    by_line = {f.origin: (f.error, f.message) for f in failures}
    assert by_line["a.jsonl#6"] == ("RowError", "line 6 is [1, 2], not a JSON object")
    assert by_line["a.jsonl#7"] == (
        "RowError",
        f"line 7, byte 33: 0xe9 is not UTF-8. {CONVERT}",
    )
    assert by_line["a.jsonl#8"] == (
        "RowError",
        "the column 'short' is an object, not text: {'en': 'a'}",
    )
    assert [by_line[f"a.jsonl#{n}"][1] for n in (9, 10, 11, 12)] == [
        "the row has no image: the column 'file' is None, not a path",
        "the row has no image: the column 'file' is '', not a path",
        "the row has no image: the column 'file' is 7, not a path",
        "the row has no image: the column 'file' is ['dog.jpg'], not a path",
    ]
    assert by_line["a.jsonl#13"] == ("RowError", "'../a.jsonl' is outside media_root")
    missing = f"media/none.jpg: there is no such file. {FIX_MISSING_FILE}"
    assert by_line["a.jsonl#14"] == ("MediaError", missing)
    assert by_line["a.jsonl#15"][0] == "MediaError"
    assert by_line["a.jsonl#16"] == ("RowError", "'a\\x00.jpg' is not a path below media_root")
    assert [by_line[f"a.jsonl#{line}"][1].partition(": ")[::2] for line in (5, 17, 18)] == [
        ("line 5, character 33", by_line["a.jsonl#5"][1].partition(": ")[2]),
        (
            "line 17, text \\ud800",
            "this escape is half of a character (a lone surrogate). Write the character itself, or "
            "leave the escape out.",
        ),
        (
            "line 18, nesting",
            "the brackets are nested deeper than the limit of 200. Nest the fields less deeply.",
        ),
    ]


def test_a_quoted_csv_field_may_hold_commas_quotes_and_newlines(tmp_path: Path) -> None:
    data = b'file,t\ndog.jpg,"a ""dog"",\nwho runs"\n\ncat.jpg,a 5" cat\n'
    rows, failures = read(tmp_path, data, "a.csv", text="t")
    assert failures == []
    assert captions(rows) == ['a "dog",\nwho runs', 'a 5" cat']
    assert [row["origin"] for row in rows] == ["a.csv#2", "a.csv#5"]


def test_broken_csv_rows_are_failures_with_their_lines(tmp_path: Path) -> None:
    data = (
        b"file,t\n"
        b"dog.jpg\n"
        b"dog.jpg,a,b\n"
        b"dog.jpg,caf\xe9\n"
        b'dog.jpg,"a" b\n'
        b"cat.jpg,a cat\n"
        b'dog.jpg,"never closed\n'
        b"cat.jpg,lost\n"
    )
    rows, failures = read(tmp_path, data, "a.csv", text="t")
    assert captions(rows) == ["a cat", "lost"]
    columns = "Write one field for each column, and quote fields that contain the delimiter."
    quotes = "Close each quoted field with a quote, and double the quotes within it."
    assert [(f.origin, f.message) for f in failures] == [
        ("a.csv#2", f"line 2: the row has 1 fields, but the table has 2 columns. {columns}"),
        ("a.csv#3", f"line 3: the row has 3 fields, but the table has 2 columns. {columns}"),
        ("a.csv#4", f"line 4: the byte 0xe9 is not UTF-8. {CONVERT}"),
        ("a.csv#5", f"line 5: the row is not valid CSV: ',' expected after '\"'. {quotes}"),
        ("a.csv#7", f"line 7: a quoted field has no closing quote. {quotes}"),
    ]


def test_a_quote_in_a_tsv_is_a_character_like_any(tmp_path: Path) -> None:
    data = b'file\tt\ndog.jpg\t"a dog\ncat.jpg\ta\tcat\ndog.jpg\t\xff\n'
    rows, failures = read(tmp_path, data, "a.tsv", text="t")
    assert captions(rows) == ['"a dog']
    assert [f.message for f in failures] == [
        "line 3: the row has 3 fields, but the table has 2 columns. Write one field for each "
        "column.",
        f"line 4, byte 8: 0xff is not UTF-8. {CONVERT}",
    ]


@pytest.mark.parametrize("name", ["a.jsonl", "a.tsv", "a.csv"])
def test_records_are_the_same_for_any_splits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    whole_file = {"a.jsonl": b"\n" + JSONL, "a.tsv": TSV, "a.csv": CSV}[name]
    header, _, two = whole_file.partition(b"\n")
    data = header + b"\n" + two * 20 + b"broken\n" + two * 20
    whole = read(tmp_path, data, name)
    assert (len(whole[0]), len(whole[1])) == (80, 1)
    monkeypatch.setattr(batching, "BATCH_ROWS", 7)
    for split_bytes in (1, 100, 1000):
        monkeypatch.setattr(lines.line_splits, "__defaults__", (split_bytes,))
        assert read(tmp_path, data, name) == whole


def test_files_without_rows_have_no_records(tmp_path: Path) -> None:
    for name, data in (
        ("a.jsonl", b""),
        ("a.csv", b"\n"),
        ("b.csv", CSV[:24]),
        ("a.tsv", TSV[:24]),
    ):
        assert read(tmp_path, data, name) == ([], [])
    table = pa.table({name: pa.array([], pa.string()) for name in ("file", "short", "long")})
    pq.write_table(table, tmp_path / "a.parquet")
    assert read_there(tmp_path, "a.parquet") == ([], [])


@pytest.mark.parametrize(
    ("name", "data"), [("a.jsonl", JSONL), ("a.csv", CSV), ("a.tsv", TSV), ("a.parquet", b"")]
)
@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"image": "fiel"}, "no column 'fiel'. Did you mean 'file'? Check the setting 'image'."),
        ({"text": "shrt"}, "no column 'shrt'. Did you mean 'short'? Check the setting 'text'."),
    ],
)
def test_a_missing_column_is_an_input_error_with_the_nearest_spelling(
    tmp_path: Path, name: str, data: bytes, settings: dict[str, Any], fault: str
) -> None:
    table = pa.Table.from_pylist([orjson.loads(line) for line in JSONL.splitlines()])
    if not data:
        pq.write_table(table, tmp_path / name)
        data = (tmp_path / name).read_bytes()
    with pytest.raises(InputError) as error:
        read(tmp_path, data, name, **settings)
    assert str(error.value) == f"{name}: there is {fault}"


@pytest.mark.parametrize(
    ("name", "data", "fault"),
    [
        (
            "a.csv",
            b"\xff\xfef\0i\0l\0e\0",
            "line 1 is not the header of a table: line 1, byte 0: 0xff",
        ),
        ("a.parquet", b"file,short", "the parquet file is broken"),
    ],
)
def test_a_file_that_is_no_table_is_an_input_error_that_names_it(
    tmp_path: Path, name: str, data: bytes, fault: str
) -> None:
    with pytest.raises(InputError) as error:
        read(tmp_path, data, name)
    assert str(error.value).startswith(f"{name}: {fault}")


def test_a_broken_image_is_not_replaced_by_one_with_an_ending_in_another_case(
    tmp_path: Path,
) -> None:
    (tmp_path / "media/dog.JPG").write_bytes(b"\xff\xd8\xff broken")
    data = b'{"short": "a", "file": "dog.JPG"}\n{"short": "b", "file": "cat.JPG"}\n'
    data += b'{"short": "c", "file": "sub/.."}\n'
    rows, failures = read(tmp_path, data)
    assert [row["media"][0]["uri"] for row in rows] == ["media/cat.jpg"]
    assert [failure.key for failure in failures] == ["a.jsonl#1", "a.jsonl#3"]
    assert failures[1].message == "'sub/..' is media_root itself, not a file below it"


def test_a_missing_media_root_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^nowhere: there is no such folder"):
        read(tmp_path, JSONL, media_root="nowhere")


def test_a_file_that_went_away_is_a_storage_error(tmp_path: Path) -> None:
    settings = {"text": "t", "image": "file", "media_root": "media"}
    table = Table(name="own", path="a.jsonl", **settings)
    (tmp_path / "a.jsonl").write_bytes(JSONL)
    file = table.list_files(str(tmp_path))[0]
    (tmp_path / "a.jsonl").unlink()
    context = Context(str(tmp_path), Media(str(tmp_path)), BlobFile())
    with pytest.raises(StorageError, match=r"a\.jsonl: there is no such file"):
        list(table.read(Split((file,)), context))


def test_tables_are_sniffed() -> None:
    def sniffed(data: bytes) -> bool:
        return Table.sniff(Head(File("a", "a", len(data), 0), data))

    assert all(sniffed(data) for data in (JSONL, CSV, TSV, b"PAR1", b"\xef\xbb\xbf" + JSONL))
    assert not any(sniffed(data) for data in (b"", b"a line of text\n", b"\n[1, 2]", b"{\n"))


@pytest.mark.parametrize(
    "book", ["business", "philosophy", "psychology", "sociology", "us-history"]
)
def test_openstax_is_read_completely(real_data: Path, book: str) -> None:
    """Every figure of the books is a record, with the size its own list states."""
    folder = real_data / "captions" / "openstax"
    wanted = [
        orjson.loads(line) for line in (folder / f"{book}.captions.jsonl").read_bytes().splitlines()
    ]
    rows, failures = read_there(
        folder.parent,
        f"openstax/{book}.captions.jsonl",
        text=["caption_no_credit", "alt"],
        media_root="openstax",
    )
    assert failures == []
    assert captions(rows) == [row["caption_no_credit"] or row["alt"] or None for row in wanted]
    assert [[row["media"][0]["width"], row["media"][0]["height"]] for row in rows] == [
        row["size"] for row in wanted
    ]


def test_columns_whose_names_have_dots_are_read(tmp_path: Path) -> None:
    row = {"text.en": "A cat.", "file.path": "a.jpg", "text": {"en": "no"}, "image.id": 7}
    (tmp_path / "a.jsonl").write_bytes(orjson.dumps(row))
    (tmp_path / "a.jpg").write_bytes(make_image())
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "a.parquet")
    for name in ("a.jsonl", "a.parquet"):
        reader = Table(name="own", path=name, text=("text.en",), image="file.path", media_root=".")
        [batch] = read_all(reader, str(tmp_path))
        [found] = batch.records.to_pylist()
        assert [one["text"] for one in found["content"] if one["text"]] == ["A cat."]
        assert orjson.loads(found["meta"]) == {"text": {"en": "no"}, "image.id": 7}
