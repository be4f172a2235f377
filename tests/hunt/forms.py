"""The forms in which rows are written, and the count of each form by other means than ours."""

from __future__ import annotations

import csv
import io
import json
import pickle
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Literal, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

Row = dict[str, Any]


class Form(NamedTuple):
    """How rows are written in a file: its ending, its bytes, the units that an outside count finds
    (None: it finds no such file), and what separates the fields of a CSV."""

    ending: str
    encode: Callable[[Sequence[Any], Random], bytes]
    outside_count: Callable[[bytes], int | None]
    delimiter: str = ""

    def records(self, data: bytes) -> int | None:
        """The number of rows that the csv module finds, if the form is its."""
        if not self.delimiter:
            return None
        text = io.StringIO(data.decode(errors="replace"), newline="")
        try:
            return sum(map(bool, csv.reader(text, delimiter=self.delimiter, strict=True))) - 1
        except csv.Error:
            return None


def _dumped(row: Any, draw: Random) -> bytes:
    return json.dumps(row, ensure_ascii=draw.random() < 0.1).encode()


def _json_lines(rows: Sequence[Any], draw: Random) -> bytes:
    end = draw.choice((b"\n", b"\n", b"\r\n"))
    lines = [_dumped(row, draw) for row in rows]
    if draw.random() < 0.2:
        lines.insert(draw.randrange(len(lines) + 1), draw.choice((b"", b"  ")))
    return end.join(lines) + draw.choice((end, end, b""))


def _json_array(rows: Sequence[Any], draw: Random) -> bytes:
    between = draw.choice((b", ", b",\n", b",", b"\n  ,"))
    start, end = draw.choice(((b"[", b"]"), (b"[\n", b"\n]\n"), (b"\xef\xbb\xbf[", b"]")))
    return start + between.join(_dumped(row, draw) for row in rows) + end


def _fields(delimiter: str) -> Callable[[Sequence[Any], Random], bytes]:
    def encode(rows: Sequence[Row], draw: Random) -> bytes:
        names = list(dict.fromkeys(name for row in rows for name in row))
        quoting: Literal[0, 1] = csv.QUOTE_ALL if draw.random() < 0.5 else csv.QUOTE_MINIMAL
        out = io.StringIO()
        end = draw.choice(("\n", "\r\n"))
        writer = csv.writer(out, delimiter=delimiter, quoting=quoting, lineterminator=end)
        writer.writerow(names)
        writer.writerows([["" if row.get(n) is None else row[n] for n in names] for row in rows])
        return out.getvalue().encode()

    return encode


def _table(rows: Sequence[Row], draw: Random) -> pa.Table:
    return varied(pa.Table.from_pylist(list(rows)), draw)


def varied(table: pa.Table, draw: Random) -> pa.Table:
    """The table with some of its columns of text as another type of text."""
    for place, field in enumerate(table.schema):
        if field.type == pa.string() and draw.random() < 0.3:
            kind = draw.choice((pa.large_string(), pa.dictionary(pa.int32(), pa.string())))
            column = table[field.name].combine_chunks()
            is_dictionary = pa.types.is_dictionary(kind)
            changed = column.dictionary_encode() if is_dictionary else column.cast(kind)
            table = table.set_column(place, field.name, changed)
    return table


def _parquet(rows: Sequence[Row], draw: Random) -> bytes:
    out = io.BytesIO()
    size = draw.choice((1, 2, 100))
    packing = draw.choice(("snappy", "none", "zstd"))
    pq.write_table(_table(rows, draw), out, row_group_size=size, compression=packing)
    return out.getvalue()


def _arrow(rows: Sequence[Row], draw: Random) -> bytes:
    out = io.BytesIO()
    table = _table(rows, draw)
    new = draw.choice((pa.ipc.new_file, pa.ipc.new_stream))
    with new(out, table.schema) as writer:
        writer.write_table(table, max_chunksize=draw.choice((1, 2, 100)))
    return out.getvalue()


def count_lines(data: bytes) -> int:
    return len(io.BytesIO(data).readlines())


def _count_json_lines(data: bytes) -> int | None:
    """The lines, unless the file is one array of JSON."""
    return count_lines(data) if _count_array(data) is None else None


def _count_array(data: bytes) -> int | None:
    try:
        value = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None
    return len(value) if isinstance(value, list) else None


def _count_parquet(data: bytes) -> int | None:
    try:
        found = pq.read_metadata(io.BytesIO(data))
        groups = sum(found.row_group(n).num_rows for n in range(found.num_row_groups))
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        return None
    return groups if groups == found.num_rows else None


def _count_arrow(data: bytes) -> int | None:
    opens = pa.ipc.open_file if data.startswith(b"ARROW1") else pa.ipc.open_stream
    try:
        return int(opens(io.BytesIO(data)).read_all().num_rows)
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        return None


def _pickle(rows: Sequence[Any], draw: Random) -> bytes:
    return pickle.dumps(list(rows), draw.choice((0, 1, 2)))


def _not_counted(data: bytes) -> None:
    """A pickle is not loaded to count it: it may be damaged so that it runs something."""


LINES = Form(".jsonl", _json_lines, _count_json_lines)
ARRAY = Form(".json", _json_array, _count_array)
CSV = Form(".csv", _fields(","), count_lines, ",")
SEMICOLONS = Form(".csv", _fields(";"), count_lines, ";")
TSV = Form(".tsv", _fields("\t"), count_lines, "\t")
PARQUET = Form(".parquet", _parquet, _count_parquet)
ARROW = Form(".arrow", _arrow, _count_arrow)
PICKLE = Form(".p", _pickle, _not_counted)
JSON = (LINES, ARRAY)
COLUMNS = (PARQUET, ARROW)
