"""Tables with typed columns: one set of types for all readers, and Arrow files as parquet."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate.ingest.formats import arrow_ipc
from curate.ingest.formats.arrow_messages import messages
from curate.ingest.formats.arrow_types import pieces, plain_array, plain_type
from curate.ingest.formats.columnar import batches, count_rows, sniffed_schema, splits
from curate.ingest.reader import Context, Count, Head
from manifests.errors import FileError
from manifests.media import Media
from manifests.media.blobs import BlobFile
from manifests.storage import File

WORDS: list[str | None] = ["a", None, "long enough for a view", "d"]
LISTS = [["a", None], None, [], ["b", "c"]]
DICTIONARY = pa.dictionary(pa.int32(), pa.string())
VIEWS = pa.DictionaryArray.from_arrays(
    pa.array([0, None, 1, 2]), pa.array(["a", "long enough for a view", "d"], pa.string_view())
)
RUNS = pa.RunEndEncodedArray.from_arrays(pa.array([1, 4], pa.int32()), pa.array(["a", "b"]))


def bytes_of(kind: pa.DataType) -> pa.Array:
    return pa.array([b"x", None, b"", b"more bytes than a view holds"], kind)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (pa.array(WORDS, pa.large_string()), pa.string()),
        (pa.array(WORDS, pa.string_view()), pa.string()),
        (pa.array(WORDS).dictionary_encode(), pa.string()),
        (VIEWS, pa.string()),
        (RUNS, pa.string()),
        (bytes_of(pa.large_binary()), pa.binary()),
        (bytes_of(pa.binary_view()), pa.binary()),
        (pa.array([b"ab", None, b"cd"], pa.binary(2)), pa.binary()),
        (pa.array(LISTS, pa.large_list(pa.large_string())), pa.list_(pa.string())),
        (pa.array(LISTS, pa.list_view(pa.string_view())), pa.list_(pa.string())),
        (pa.array(LISTS, pa.large_list_view(DICTIONARY)), pa.list_(pa.string())),
        (pa.array([["a", "b"], None, ["c", None]], pa.list_(DICTIONARY, 2)), pa.list_(pa.string())),
        (
            pa.array(
                [[{"a.b": b"x"}], None, [None, {"a.b": None}]],
                pa.list_view(pa.struct([("a.b", pa.binary_view())])),
            ),
            pa.list_(pa.struct([("a.b", pa.binary())])),
        ),
        (
            pa.array([[("k", "v")], None], pa.map_(pa.string_view(), pa.large_string())),
            pa.map_(pa.string(), pa.string()),
        ),
        (pa.array([1, None, 3]).dictionary_encode(), pa.int64()),
        (pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a":1}', None])), pa.string()),
        (pa.array([{}, None], pa.struct([])), pa.struct([])),
    ],
    ids=lambda given: str(given)[:40] if isinstance(given, pa.DataType) else str(given.type)[:40],
)
def test_an_array_and_its_slice_are_converted_without_a_change_of_values(
    values: pa.Array, kind: pa.DataType
) -> None:
    assert plain_type(values.type) == kind
    for given in (values, values.slice(1), values.slice(0, 1), values.slice(0, 0)):
        plain = plain_array(given)
        plain.validate(full=True)
        assert plain.type == kind
        assert plain.to_pylist() == [
            str(value) if isinstance(value, pa.BaseExtensionType) else value
            for value in given.to_pylist()
        ]


def test_a_batch_is_cut_by_the_bytes_that_its_rows_have_when_they_are_converted() -> None:
    text = pa.array(["x" * 1000] * 64).dictionary_encode()
    sizes = [piece.num_rows for piece in pieces(pa.record_batch({"t": text}), 4096, 16_000)]
    assert sum(sizes) == 64
    assert max(sizes) <= 16
    assert [p.num_rows for p in pieces(pa.record_batch({"n": [1] * 10}), 4, 1 << 20)] == [4, 4, 2]


TABLE = pa.table(
    {
        "n": pa.array(range(40), pa.int64()),
        "words": pa.array([[str(n)] for n in range(40)], pa.list_view(pa.string_view())),
        "kind": pa.array(["a", "b"] * 20).dictionary_encode(),
    }
)
ROWS = [{"n": n, "words": [str(n)], "kind": "ab"[n % 2]} for n in range(40)]


def write_arrow(path: Path, table: pa.Table, *, as_file: bool, rows: int = 7) -> None:
    new = pa.ipc.new_file if as_file else pa.ipc.new_stream
    with new(str(path), table.schema) as sink:
        sink.write_table(table, max_chunksize=rows)


def context_at(folder: Path) -> Context:
    return Context(str(folder), Media(str(folder)), BlobFile())


def read(folder: Path, name: str = "a.arrow") -> tuple[list[dict[str, Any]], list[int]]:
    """All rows of a file with their numbers, and the number of rows of each split."""
    context = context_at(folder)
    rows, counts = [], []
    for split in splits(File(name, name, (folder / name).stat().st_size, 0), context):
        counts.append(0)
        for batch in batches(split, context):
            assert [int(n) for n in batch.numbers] == batch.rows["n"].to_pylist()
            rows += batch.rows.to_pylist()
            counts[-1] += batch.rows.num_rows
    return rows, counts


@pytest.mark.parametrize("as_file", [True, False])
def test_an_arrow_file_has_the_rows_of_a_parquet_file_in_splits_of_record_batches(
    tmp_path: Path, as_file: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrow_ipc, "SPLIT_BYTES", 1000)
    write_arrow(tmp_path / "a.arrow", TABLE, as_file=as_file)
    assert read(tmp_path) == (ROWS, [40])  # a dictionary holds for all batches after it
    write_arrow(tmp_path / "b.arrow", TABLE.drop_columns("kind"), as_file=as_file)
    rows, counts = read(tmp_path, "b.arrow")
    assert rows == [{"n": row["n"], "words": row["words"]} for row in ROWS]
    assert (len(counts) > 2, sum(counts)) == (True, 40)
    pq.write_table(TABLE.select(["n"]), tmp_path / "c.parquet")
    assert read(tmp_path, "c.parquet") == ([{"n": n} for n in range(40)], [40])


def test_rows_are_counted_without_reading_them(tmp_path: Path) -> None:
    write_arrow(tmp_path / "a.arrow", TABLE.drop_columns("kind"), as_file=False)
    data = (tmp_path / "a.arrow").read_bytes()
    context = context_at(tmp_path)
    for size in (len(data), len(data) - 8):  # the last eight bytes are the end mark
        (tmp_path / "a.arrow").write_bytes(data[:size])
        [split] = splits(File("a.arrow", "a.arrow", size, 0), context)
        assert count_rows(split, context) == Count("rows", 40)
    (tmp_path / "a.arrow").write_bytes(data[: len(data) // 2])
    [split] = splits(File("a.arrow", "a.arrow", len(data) // 2, 0), context)
    assert count_rows(split, context) == Count("rows", 21, is_whole=False)


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
def test_rows_before_the_damage_of_an_arrow_file_are_read(tmp_path: Path, kept: float) -> None:
    write_arrow(tmp_path / "a.arrow", TABLE.drop_columns("kind"), as_file=False)
    data = (tmp_path / "a.arrow").read_bytes()
    (tmp_path / "a.arrow").write_bytes(data[: int(kept * len(data))])
    file, context = File("a.arrow", "a.arrow", int(kept * len(data)), 0), context_at(tmp_path)
    [split] = splits(file, context)
    found = batches(split, context)
    numbers = [n for _ in range({0.3: 1, 0.6: 3, 0.9: 5}[kept]) for n in next(found).numbers]
    with pytest.raises(FileError, match="the Arrow file is broken: "):
        next(found)
    assert numbers == list(range(len(numbers)))
    assert len(numbers) == {0.3: 7, 0.6: 21, 0.9: 35}[kept]


def test_the_schema_of_an_arrow_file_is_detected_from_its_content(tmp_path: Path) -> None:
    write_arrow(tmp_path / "a.arrow", TABLE, as_file=False)
    data = (tmp_path / "a.arrow").read_bytes()
    file = File(str(tmp_path / "a.arrow"), "a.arrow", len(data), 0)
    schema = sniffed_schema(Head(file, data[:64]))
    assert schema == pa.schema(
        [("n", pa.int64()), ("words", pa.list_(pa.string())), ("kind", pa.string())]
    )
    assert sniffed_schema(Head(file, b"{}")) is None


def broken_rows(context: Context, name: str) -> tuple[list[int], str]:
    """The numbers of the rows that are read of a file, and the error at the end."""
    size = (Path(context.base) / name).stat().st_size
    [split] = splits(File(name, name, size, 0), context)
    found, numbers = batches(split, context), list[int]()
    try:
        for batch in found:
            assert batch.numbers.tolist() == batch.rows["n"].to_pylist()
            numbers += batch.numbers.tolist()
    except FileError as error:
        return numbers, error.fault
    return numbers, ""


def test_row_groups_and_record_batches_around_a_broken_one_are_read(tmp_path: Path) -> None:
    table = pa.table({"n": range(40), "t": [f"word {n}" for n in range(40)]})
    pq.write_table(
        table, tmp_path / "a.parquet", row_group_size=10, compression=None, use_dictionary=False
    )
    path = tmp_path / "a.parquet"
    data = bytearray(path.read_bytes())
    page = pq.ParquetFile(path).metadata.row_group(1).column(1).data_page_offset
    data[page + 40 : page + 90] = b"\xff" * 50
    path.write_bytes(data)
    numbers, fault = broken_rows(context_at(tmp_path), "a.parquet")
    assert numbers == [*range(10), *range(20, 40)]
    assert fault.startswith("rows 10 to 19 cannot be read: the parquet file is broken: ")

    write_arrow(tmp_path / "a.arrow", table, as_file=False, rows=10)
    context, path = context_at(tmp_path), tmp_path / "a.arrow"
    data = bytearray(path.read_bytes())
    at = [message for message in messages(pa.memory_map(str(path))) if message.kind == "rows"][2]
    length = struct.pack("<qq", 10, 0)  # of a column in the description of the batch
    data[:] = data[: at.start] + data[at.start :].replace(length, struct.pack("<qq", 1 << 40, 0), 1)
    path.write_bytes(data)
    numbers, fault = broken_rows(context, "a.arrow")
    assert numbers == [*range(20), *range(30, 40)]
    assert fault.startswith("rows 20 to 29 cannot be read: the Arrow file is broken: ")


@pytest.mark.parametrize("values", [["aa", "bbb"], [["aa"], ["bbb"]], [{"x": "aa"}, {"x": "bbb"}]])
@pytest.mark.parametrize("kind", ["stream", "file"])
def test_a_record_batch_whose_offsets_are_damaged_is_lost_and_the_others_are_read(
    kind: str, values: list[Any], tmp_path: Path
) -> None:
    table = pa.table({"a": values, "b": [b"\xff", b"x"]}).to_batches()[0]
    path = tmp_path / "a.arrow"
    new = pa.ipc.new_stream if kind == "stream" else pa.ipc.new_file
    with new(path, table.schema) as writer:
        for _ in range(3):
            writer.write_batch(table)
    data = path.read_bytes()
    offsets = struct.pack("<2i", 2, 5)  # the ends of the two texts in each of the batches
    at = data.index(offsets, data.index(offsets) + 1)
    path.write_bytes(data[:at] + struct.pack("<2i", 2, 1 << 20) + data[at + 8 :])
    file = File("a.arrow", "a.arrow", len(data), 0)
    context = Context(str(tmp_path), Media(str(tmp_path)), BlobFile())
    rows: list[Any] = []
    found = (batch for split in splits(file, context) for batch in batches(split, context))
    with pytest.raises(FileError, match="rows 2 to 3 cannot be read: the Arrow file is broken"):
        rows.extend(row for batch in found for row in batch.rows["a"].to_pylist())
    assert rows == values * 2


def test_a_row_group_with_an_index_outside_of_its_dictionary_is_lost(tmp_path: Path) -> None:
    values = pa.array(["x", "y", "z", "x"] * 8).dictionary_encode()
    table, path = pa.table({"n": range(32), "d": values}), tmp_path / "a.parquet"
    pq.write_table(table, path, row_group_size=16, compression=None)
    data = path.read_bytes()
    indices = b"\x24" * 4  # 0, 1, 2, 0 in 2 bits each, for 16 rows
    at = data.index(indices, data.index(indices) + 1)
    path.write_bytes(data[:at] + b"\x27" + data[at + 1 :])
    numbers, fault = broken_rows(context_at(tmp_path), "a.parquet")
    assert numbers == [*range(16)]
    assert fault.startswith("rows 16 to 31 cannot be read: the parquet file is broken: ")


@pytest.mark.parametrize("name", ["a.parquet", "stream.arrow", "file.arrow"])
def test_a_table_with_a_name_that_is_not_utf8_is_broken(name: str, tmp_path: Path) -> None:
    table, path = pa.table({"caption": ["a"]}), tmp_path / name
    if name == "a.parquet":
        pq.write_table(table, path, store_schema=False)
    else:
        new = pa.ipc.new_stream if name.startswith("stream") else pa.ipc.new_file
        with new(path, table.schema) as writer:
            writer.write_table(table)
    path.write_bytes(path.read_bytes().replace(b"caption", b"\xc0aption"))
    file = File(str(path), name, path.stat().st_size, 0)
    context = Context("", Media(""), BlobFile())
    assert sniffed_schema(Head(file, path.read_bytes())) is None
    with pytest.raises(FileError, match="file is broken: 'utf-8' codec can't decode byte 0xc0"):
        [list(batches(split, context)) for split in splits(file, context)]


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_a_table_with_a_name_twice_is_refused_with_the_name_and_the_columns(
    tmp_path: Path, name: str
) -> None:
    ones = pa.array(["1"])
    inner = pa.StructArray.from_arrays([ones, ones], names=["x", "x"])
    cases = {
        "the schema has the same name 'x' for columns 1 and 3.": ([ones] * 3, ["x", "y", "x"]),
        "column 'a' has the same name 'x' for fields 1 and 2.": ([inner], ["a"]),
    }
    place = tmp_path / name
    for fault, (columns, names) in cases.items():
        table = pa.Table.from_arrays(columns, names)
        if name.endswith(".parquet"):
            pq.write_table(table, place)
        else:
            with pa.ipc.new_stream(str(place), table.schema) as writer:
                writer.write_table(table)
        file = File(name, name, place.stat().st_size, "")
        context = Context(str(tmp_path), Media(str(tmp_path)), BlobFile())
        [split] = splits(file, context)
        assert count_rows(split, context) == Count("rows", 1)
        with pytest.raises(FileError) as error:
            list(batches(split, context))
        assert fault in str(error.value)


UUID = b"\x01#Eg\x89\xab\xcd\xef\x01#Eg\x89\xab\xcd\xef"
UUID_TEXT = "01234567-89ab-cdef-0123-456789abcdef"


def extended(kind: pa.DataType, values: list[Any]) -> pa.Array:
    return pa.ExtensionArray.from_storage(kind, pa.array(values, kind.storage_type))


def test_extension_types_have_one_plain_form() -> None:
    uuids = extended(pa.uuid(), [None, UUID, UUID])
    texts = [None, UUID_TEXT, UUID_TEXT]
    opaque = pa.opaque(pa.binary(), "kind", "vendor")
    for values, plain in (
        (uuids, texts),
        (uuids.slice(1), texts[1:]),
        (uuids.slice(3), []),
        (pa.ListArray.from_arrays([0, 2, 3], uuids), [texts[:2], texts[2:]]),
        (pa.StructArray.from_arrays([uuids], ["u"]), [{"u": text} for text in texts]),
        (
            pa.MapArray.from_arrays([0, 1, 3], pa.array(["a", "b", "c"]), uuids).slice(1),
            [[("b", UUID_TEXT), ("c", UUID_TEXT)]],
        ),
        (extended(pa.json_(), ['{"a": 1}', None]), ['{"a": 1}', None]),
        (extended(pa.bool8(), [1, 0, None]), [True, False, None]),
        (extended(opaque, [b"a"]), [b"a"]),
    ):
        found = plain_array(values)
        found.validate(full=True)
        assert (found.type, found.to_pylist()) == (plain_type(values.type), plain)
