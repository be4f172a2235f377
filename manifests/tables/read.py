"""Reads the rows of a table (JSON, Parquet, CSV or TSV). Rows are numbered from 1."""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
from collections.abc import Collection, Iterator
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from manifests import storage
from manifests.errors import InputError
from manifests.storage import File
from manifests.tables.kinds import Kind

Row = dict[str, Any]
_BATCH_ROWS = 64
"""The number of Parquet rows that are read at once (our choice). It is low because rows may contain
images."""
_BLOCK_BYTES = 256 << 20
"""The maximum size of a CSV or TSV row in bytes (our choice). It is large because a row may contain
images."""


def rows(file: File, kind: Kind, fields: Collection[str]) -> Iterator[tuple[int, Row]]:
    """Yields the number and the content of every row of a file. Columns that contain none of
    `fields` may be left out of the rows.

    In JSON lines, the number of a row is the number of its line. Raises InputError for a row that
    cannot be read, and for a field whose column is missing in all rows.
    """
    if kind is Kind.JSON:
        return _json(file, fields)
    if kind is Kind.PARQUET:
        return _parquet(file, fields)
    return _separated(file, "\t" if kind is Kind.TSV else ",", fields)


def lines(file: File) -> Iterator[tuple[int, str]]:
    """Yields the number (from 1) and the text of each line of a text file, except blank lines."""
    for number, line in enumerate(_read(file).split(b"\n"), 1):
        try:
            text = line.decode().strip()
        except UnicodeDecodeError as error:
            raise InputError(
                f"line {number}, byte {error.start} is not UTF-8.",
                file.uri,
                "Convert the file to UTF-8.",
            ) from None
        if text:
            yield number, text


def value(row: Row, field: str) -> Any:
    """Returns the value of a field in a row. A dotted path gives a field inside another field. If
    the path leads through a list of objects, the result is the list of the values of the objects
    that have the field: value({"a": [{"b": 1}, {"b": 2}, {}]}, "a.b") -> [1, 2].

    The name of a field may itself have dots. If the path begins with several names of the row, the
    longest name is taken. Raises KeyError if the field is missing. In a list of objects, the field
    is missing if no object has it.
    """
    name = _first_name(field, row)
    if name is None:
        raise KeyError(field)
    inner, rest = row[name], field[len(name) + 1 :]
    if not rest:
        return inner
    if isinstance(inner, list):
        return _values(inner, rest)
    if inner is None:
        return None
    if not isinstance(inner, dict):
        raise KeyError(field)
    return value(inner, rest)


def _values(elements: list[Any], field: str) -> list[Any]:
    found = []
    for one in elements:
        with contextlib.suppress(KeyError):
            if isinstance(one, dict):
                found.append(value(one, field))
    if elements and not found:
        raise KeyError(field)
    return found


def _first_name(path: str, known: Collection[str]) -> str | None:
    """Returns the longest known name with which a dotted path begins; None if it begins with no
    known name: _first_name("a.b.c", {"a", "a.b"}) -> "a.b"."""
    parts = path.split(".")
    names = (".".join(parts[:end]) for end in range(len(parts), 0, -1))
    return next((name for name in names if name in known), None)


def _read(file: File) -> bytes:
    """Returns the decompressed bytes of a file, without a byte order mark."""
    with (
        storage.storage_errors(file.uri),
        _reading(file),
        storage.open_stream(file.uri) as stream,
    ):
        return bytes(stream.read()).removeprefix(codecs.BOM_UTF8)


@contextlib.contextmanager
def _reading(file: File) -> Iterator[None]:
    """A context manager that converts an Arrow error into an InputError with the name of the
    file."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # an error of the disk or the network, not of the data
        fault = " ".join(str(error).split()).rstrip(".")
        raise InputError(
            f"the file cannot be read: {fault:.300}.", file.uri, "Repair or replace the file."
        ) from error


def _columns(fields: Collection[str], known: Collection[str], file: File) -> list[str]:
    """Returns the columns that contain the fields, which may be dotted paths: ["a.b", "c"] -> ["a",
    "c"]."""
    found = []
    for field in fields:
        column = _first_name(field, known)
        if column is None:
            names = ", ".join(known) or "none"
            fault = f"the table has no field '{field}'."
            raise InputError(fault, file.uri, f"Its fields are: {names}.")
        found.append(column)
    return list(dict.fromkeys(found))


def _json(file: File, fields: Collection[str]) -> Iterator[tuple[int, Row]]:
    data = _read(file)
    parse = _array if data.lstrip()[:1] == b"[" else _objects
    numbered = list(parse(data, file))
    for number, row in numbered:
        if not isinstance(row, dict):
            fault = f"item {number} is {row!r:.80}, not a JSON object."
            raise InputError(fault, file.uri, 'Write each item as an object: {"FIELD": VALUE}.')
    _columns(fields, dict.fromkeys(name for _, row in numbered for name in row), file)
    yield from numbered


def _array(data: bytes, file: File) -> Iterator[tuple[int, Any]]:
    try:
        yield from enumerate(orjson.loads(data), 1)
    except orjson.JSONDecodeError as error:
        raise InputError(f"broken JSON: {error}.", file.uri, "Repair the file.") from None


def _objects(data: bytes, file: File) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            yield number, orjson.loads(line)
        except orjson.JSONDecodeError as error:
            fix = "Write one JSON object on each line, or one array of JSON objects."
            raise InputError(f"line {number}: broken JSON: {error.msg}.", file.uri, fix) from None


def _parquet(file: File, fields: Collection[str]) -> Iterator[tuple[int, Row]]:
    number = 0
    with _reading(file), storage.open_file(file.uri) as source:
        table = pq.ParquetFile(source)
        columns = _columns(fields, table.schema_arrow.names, file)
        for batch in table.iter_batches(_BATCH_ROWS, columns=columns, use_threads=False):
            for row in batch.to_pylist():
                number += 1
                yield number, row


def _separated(file: File, separator: str, fields: Collection[str]) -> Iterator[tuple[int, Row]]:
    data = _read(file)
    columns = _columns(fields, _header(data, separator), file)
    text = pa_csv.ConvertOptions(
        column_types=dict.fromkeys(columns, pa.string()),
        include_columns=columns,
        strings_can_be_null=False,
    )
    read = pa_csv.ReadOptions(use_threads=False, block_size=min(len(data) + 1, _BLOCK_BYTES))
    parse = pa_csv.ParseOptions(delimiter=separator, newlines_in_values=True)
    number = 0
    with _reading(file), pa_csv.open_csv(pa.BufferReader(data), read, parse, text) as batches:
        for batch in batches:
            for row in batch.to_pylist():
                number += 1
                yield number, row


def _header(data: bytes, separator: str) -> list[str]:
    first = io.StringIO(data.partition(b"\n")[0].decode(errors="replace"))
    return next(csv.reader(first, delimiter=separator), [])
