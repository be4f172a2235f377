"""Parquet: cut by row groups, bounded batches, and no broken file that is not named."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate.ingest.columns import first_text
from curate.ingest.formats import parquet
from curate.ingest.formats.columnar import batches, sniffed_schema
from curate.ingest.formats.parquet import record_batches, row_group_splits
from curate.ingest.image_columns import byte_views
from curate.ingest.meta import meta_json
from curate.ingest.reader import Context, Head, Split
from manifests.errors import CurateError, FileError, InputError
from manifests.media import Media
from manifests.media.blobs import BlobFile
from manifests.storage import File


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return context_at(tmp_path)


def context_at(folder: Path) -> Context:
    return Context(str(folder), Media(str(folder)), BlobFile())


def written(context: Context, table: pa.Table, rows: int = 10, name: str = "a.parquet") -> File:
    path = Path(context.base) / name
    pq.write_table(table, path, row_group_size=rows)
    return File(name, name, path.stat().st_size, 0)


def numbers(size: int) -> pa.Table:
    return pa.table({"n": pa.array(range(size), pa.int64())})


def read_rows(context: Context, file: File) -> list[tuple[int, int]]:
    return [
        (number, value)
        for split in row_group_splits(file, context)
        for batch in batches(split, context)
        for number, value in zip(
            batch.numbers.tolist(), batch.rows.column(0).to_pylist(), strict=True
        )
    ]


def test_splits_are_row_groups_of_about_the_rows_of_a_split(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(context, numbers(95))
    monkeypatch.setattr(parquet, "SPLIT_ROWS", 25)
    assert list(row_group_splits(file, context)) == [
        Split((file,), 0, 3, 0),
        Split((file,), 3, 6, 30),
        Split((file,), 6, 9, 60),
        Split((file,), 9, 10, 90),
    ]


def test_splits_are_bounded_in_bytes_too(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(context, numbers(30))
    monkeypatch.setattr(parquet, "SPLIT_BYTES", 1)
    assert [(s.start, s.stop) for s in row_group_splits(file, context)] == [(0, 1), (1, 2), (2, 3)]


def test_every_row_is_read_once_with_its_number_for_any_splits(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(context, numbers(95))
    for rows in (1, 25, 1000):
        monkeypatch.setattr(parquet, "SPLIT_ROWS", rows)
        for batch_rows in (7, 1000):
            monkeypatch.setattr(parquet, "BATCH_ROWS", batch_rows)
            assert read_rows(context, file) == [(n, n) for n in range(95)]


def test_a_table_without_rows_is_one_split_without_rows(context: Context) -> None:
    file = written(context, numbers(0))
    splits = list(row_group_splits(file, context))
    assert len(splits) == 1
    assert read_rows(context, file) == []


def test_batches_are_bounded_in_rows_and_in_bytes(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = pa.table({"data": [bytes([n]) * 1000 for n in range(20)]})
    file = written(context, table, rows=20)
    monkeypatch.setattr(parquet, "BATCH_BYTES", 5000)
    sizes = [batch.rows.num_rows for batch in batches(Split((file,)), context)]
    assert sizes == [4, 4, 4, 4, 4]
    monkeypatch.setattr(parquet, "BATCH_ROWS", 3)
    assert next(batches(Split((file,)), context)).rows.num_rows == 3


def test_rows_whose_text_is_not_utf8_are_broken_and_the_others_are_read(context: Context) -> None:
    texts = pa.array([b"one", b"\xff", None, b"four"]).view(pa.string())
    tags = pa.ListArray.from_arrays([0, 1, 1, 2, 3], pa.array([b"a", b"\xfe", b"c"]).view("string"))
    file = written(context, pa.table({"text": texts, "tags": tags}))
    (batch,) = batches(Split((file,)), context)
    assert batch.numbers.tolist() == [0, 3]
    assert batch.rows.to_pylist() == [
        {"text": "one", "tags": ["a"]},
        {"text": "four", "tags": ["c"]},
    ]
    assert [(number, error.fault) for number, error in batch.broken] == [
        (1, "column 'text': b'\\xff' is not UTF-8."),
        (2, "column 'tags': List child array invalid: Invalid: "
            "Invalid UTF8 sequence at string index 0."),
    ]  # fmt: skip


def test_named_columns_of_bytes_are_read_as_text(context: Context) -> None:
    table = pa.table({"TEXT": [b"one", b"\xff"], "data": [b"\xff", b"\xff"]})
    (batch,) = batches(Split((written(context, table),)), context, ["text"])
    assert batch.rows.to_pylist() == [{"TEXT": "one", "data": b"\xff"}]
    assert [number for number, _ in batch.broken] == [1]


@pytest.mark.parametrize(
    "data", [b"", b"PAR1", b"not parquet at all, but long enough", b"PAR1" + b"\0" * 100 + b"PAR1"]
)
def test_anything_but_parquet_is_an_input_error_that_names_the_file(
    context: Context, data: bytes
) -> None:
    (Path(context.base) / "bad.parquet").write_bytes(data)
    with pytest.raises(
        InputError, match=r"^bad\.parquet: the parquet file is broken: .*Download or write"
    ):
        list(row_group_splits(File("bad.parquet", "bad.parquet", len(data), 0), context))


def test_a_truncated_file_is_an_input_error(context: Context) -> None:
    file = written(context, numbers(1000))
    path = Path(context.base) / file.name
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="the parquet file is broken"):
        list(row_group_splits(file, context))


def test_bytes_changed_inside_a_page_are_an_input_error_if_pages_have_checksums(
    context: Context,
) -> None:
    path = Path(context.base) / "a.parquet"
    table = pa.table({"n": pa.array(range(1000), pa.int64())})
    pq.write_table(table, path, compression="none", use_dictionary=False, write_page_checksum=True)
    data = bytearray(path.read_bytes())
    data[2000] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(InputError, match="CRC checksum verification failed"):
        read_rows(context, File("a.parquet", "a.parquet", len(data), 0))


def test_rows_that_a_file_states_but_no_row_group_has_are_reported_after_all_others(
    context: Context,
) -> None:
    file = written(context, numbers(1))
    path = Path(context.base) / file.name
    footer = path.read_bytes()
    assert footer.count(b"\x16\x02\x19\x1c") == 1  # one row, then a list of one row group
    path.write_bytes(footer.replace(b"\x16\x02\x19\x1c", b"\x16\x06\x19\x1c"))
    [split] = row_group_splits(file, context)
    found = record_batches(split, context)
    assert next(found)[1].num_rows == 1
    with pytest.raises(FileError, match="the row groups have 1 rows, but the file states 3"):
        next(found)


def test_sniffing_gives_the_schema_and_none_for_a_broken_file(context: Context) -> None:
    file = written(context, numbers(3))
    path = Path(context.base) / file.name
    placed = file._replace(uri=str(path))
    assert sniffed_schema(Head(placed, path.read_bytes())) == numbers(0).schema
    assert sniffed_schema(Head(placed, b"text")) is None
    path.write_bytes(b"PAR1 and no more")
    assert sniffed_schema(Head(placed, path.read_bytes())) is None


def test_every_malformed_file_of_the_parquet_project_is_read_or_named(real_data: Path) -> None:
    folder = real_data / "hostile" / "parquet_testing"
    paths = sorted(folder.rglob("*.parquet"))
    huge = "large_string_map.brotli"  # sound: two strings of a gigabyte each
    errors = {path.stem: _error_of(path) for path in paths if path.stem != huge}
    assert len(errors) > 70
    assert {name for name, error in errors.items() if error} == {
        "ARROW-GH-41317",
        "ARROW-GH-41321",
        "ARROW-GH-45185",
        "ARROW-GH-47662",
        "ARROW-RS-GH-6229-DICTHEADER",
        "ARROW-RS-GH-6229-LEVELS",
        "PARQUET-1481",
        "datapage_v1-corrupt-checksum",
        "incorrect_map_schema",
        "rle-dict-uncompressed-corrupt-checksum",
    }
    assert all(error.startswith(f"{name}.parquet: ") for name, error in errors.items() if error)


def _error_of(path: Path) -> str:
    try:
        _read_everything(File(path.name, path.name, 1, 0), context_at(path.parent))
    except CurateError as error:
        return str(error)
    return ""


def _read_everything(file: File, context: Context) -> None:
    for split in row_group_splits(file, context):
        for batch in batches(split, context):
            meta_json(batch.rows, ())
            for field in batch.rows.schema:
                if pa.types.is_string(field.type):
                    first_text(batch.rows, [field.name], file.uri)


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary_view()])
def test_bytes_of_any_slice_of_an_array_are_views(kind: pa.DataType) -> None:
    values = pa.array([b"gone", b"\xff\xd8", None, b"", b"x"], kind)
    views = byte_views(values.slice(1))
    assert [None if view is None else view.tolist() for view in views] == [
        [255, 216],
        None,
        [],
        [120],
    ]
    assert byte_views(values.slice(5)) == []
    assert byte_views(pa.nulls(2, kind)) == [None, None]


def test_meta_is_every_other_column_as_json_without_raw_bytes() -> None:
    batch = pa.record_batch(
        {
            "text": ["a"],
            "uid": ["u"],
            "n": pa.array([None], pa.int32()),
            "nan": [float("nan")],
            "data": [b"\xff"],
            "images": [[{"bytes": b"\xff", "path": "x"}]],
            "when": pa.array([1], pa.timestamp("ns")),
            "never": pa.array([10**18], pa.timestamp("us", "UTC")),
            "price": pa.array([1]).cast(pa.decimal128(21, 2)),
            "boxes": [[[0.5, 1.0]]],
            "took": pa.array([[7]], pa.list_(pa.duration("s"))),
            "map": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.timestamp("s"))),
            "kind": pa.array(["x"]).dictionary_encode(),
        }
    )
    assert meta_json(batch, {"text"}).to_pylist() == [
        '{"uid":"u","n":null,"nan":null,"when":"1970-01-01 00:00:00.000000001",'
        '"never":"-31878-09-27 01:46:40.000000Z","price":"1.00","boxes":[[0.5,1.0]],"took":[7],'
        '"map":[["k","1970-01-01 00:00:01"]],"kind":"x"}'
    ]
    assert meta_json(batch.select(["text", "data"]), {"text"}).to_pylist() == [None]


def test_the_first_text_that_is_not_blank_is_taken() -> None:
    batch = pa.record_batch(
        {
            "a": ["x", "", " \n", None, None, None],
            "b": pa.array([["y", "z"], ["y"], [], None, ["w"], [None]], pa.list_(pa.string())),
            "c": pa.array([None, 1, 2, 3, None, None], pa.int64()),
        }
    )
    assert first_text(batch, ["a", "b", "c"], "f").to_pylist() == ["x", "y", "2", "3", "w", None]
    assert first_text(batch, [], "f").to_pylist() == [None] * 6


def test_a_text_column_that_cannot_be_text_is_an_input_error() -> None:
    batch = pa.record_batch({"a": [{"x": 1}]})
    with pytest.raises(InputError, match=r"^f: column 'a' is struct<x: int64>, which cannot"):
        first_text(batch, ["a"], "f")


def test_long_values_that_repeat_are_read_in_small_batches(context: Context) -> None:
    texts = [f"{'x' * 200_000}{n % 2}" for n in range(1500)]
    table = pa.table({"t": texts, "l": [[{"s": text}] for text in texts]})
    file = written(context, table, 1500)
    [split] = row_group_splits(file, context)
    sizes, ends = [], []
    for batch in batches(split, context):
        sizes.append(batch.rows.nbytes)
        ends += [text[-1] for text in batch.rows.column(0).to_pylist()]
    assert ends == ["0", "1"] * 750
    assert sum(sizes) > 600_000_000
    assert max(sizes) < 100_000_000


DAMAGE_THE_FOOTER = """
import sys
from pathlib import Path
from curate.ingest.formats.parquet import record_batches, row_group_splits
from manifests.errors import FileError
from manifests.storage import File
from tests.ingest.formats.test_parquet import context_at

path = Path(sys.argv[1])
data, context = path.read_bytes(), context_at(path.parent)
footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
for at in range(footer, len(data) - 8):
    for flip in (1, 2):
        path.write_bytes(data[:at] + bytes([data[at] ^ flip]) + data[at + 1 :])
        try:
            file = File(path.name, path.name, len(data), 0)
            for split in row_group_splits(file, context):
                list(record_batches(split, context))
        except FileError:
            pass
"""


def test_no_damage_of_the_footer_ends_the_process(context: Context) -> None:
    file = written(context, pa.table({"text": ["a", "b"], "n": [[1], [2, 3]]}))
    path = str(Path(context.base) / file.uri)
    ran = subprocess.run(
        [sys.executable, "-c", DAMAGE_THE_FOOTER, path], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
